export { HostObject } from "#objects/host/host-object";
export { PrincipalObject } from "#objects/principal/principal-object";
export { SandboxObject } from "#objects/sandbox/sandbox-object";
export { SessionObject } from "#objects/session/session-object";

export default {
  fetch: () => new Response("not built yet", { status: 503 }),
} satisfies ExportedHandler<Env>;
