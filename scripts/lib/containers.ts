/** The APIs by which a deployment can hold containers; see README, "Where sandboxes run". */
export const CONTAINER_APIS = ["native", "sdk"] as const;
export type ContainerApi = (typeof CONTAINER_APIS)[number];

/** Name of the second Worker that holds containers by the SDK's class, as `wrangler.sdk.toml` has it. */
const SDK_WORKER = "longshore-sdk-containers";

type Options = {
  api: ContainerApi;
  /** Prefix of the tables: empty, or an environment's `env.production.`. */
  prefix: string;
  /** The image that `sandbox/image/Dockerfile` begins with; its own default when absent. */
  base?: string;
};

/** What to append to a wrangler.toml so that its deployment can run sandboxes in containers. */
export function containerTables({ api, prefix, base }: Options): string {
  if (api === "sdk") {
    return `
[[${prefix}durable_objects.bindings]]
name = "SDK_CONTAINERS"
class_name = "SdkContainerObject"
script_name = "${SDK_WORKER}"
`;
  }
  return `
[[${prefix}containers]]
class_name = "SandboxContainer"
scheduling_policy = "durable_object"

[${prefix}containers.images.sandbox]
dockerfile = "sandbox/image/Dockerfile"
build_context = "dist/sandbox"
${base === undefined ? "" : `build_vars = { BASE = "${base}" }\n`}`;
}

/** Lets new sandboxes run in containers, where the configuration says nothing else. */
export const usingContainers = (config: string, when: "auto" | "container"): string =>
  config.replaceAll('SANDBOX_BACKEND = "host"', `SANDBOX_BACKEND = "${when}"`);
