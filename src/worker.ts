import { systemActor } from "#domain/actor";
import { newId } from "#kernel/id";
import { contextOf } from "#platform/context";
import { createApp } from "./app.ts";
import { runJobs } from "./jobs.ts";

export { BuildObject } from "#objects/build/build-object";
export { ChunkStoreObject } from "#objects/chunks/chunk-store-object";
export { SandboxContainer } from "#objects/container/container-object";
export { HostObject } from "#objects/host/host-object";
export { PrincipalObject } from "#objects/principal/principal-object";
export { SandboxObject } from "#objects/sandbox/sandbox-object";
export { SessionObject } from "#objects/session/session-object";
export { TeamObject } from "#objects/team/team-object";

const app = createApp(contextOf);

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    const ctx = { ...contextOf(env, newId("operation", Date.now())), actor: systemActor("scheduler") };
    await runJobs(ctx);
  },
} satisfies ExportedHandler<Env>;
