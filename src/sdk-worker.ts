export { ContainerProxy } from "@cloudflare/sandbox";
export { SdkContainerObject } from "#objects/container/sdk-container-object";

/** The Worker that holds containers by the SDK's class, for deployments that choose it; only bindings reach it. */
export default {
  fetch: () => new Response(null, { status: 404 }),
} satisfies ExportedHandler;
