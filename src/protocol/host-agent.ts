import { z } from "zod";
import { ChunkHash } from "#protocol/chunks";

/**
 * Version 1 of the HTTP interface of a host agent. Every call but `GET /v1/health` carries
 * `Authorization: Bearer JWT`, signed by the control plane (EdDSA, at most a minute old):
 * `iss` "longshore", `aud` the host's id, `sub` the sandbox's id, `gen` its lease generation, `act` what it allows. Its
 * `jti` makes one for the lifecycle work once, for whatever changes something.
 *
 *   GET    /v1/health                          200 AgentHealth
 *   PUT    /v1/sandboxes/{id}                  200 AgentSandbox: starts it unless it runs already (act "lifecycle")
 *   GET    /v1/sandboxes/{id}                  200 AgentSandbox (either act)
 *   POST   /v1/sandboxes/{id}/freeze           200 AgentSandbox, "paused": none of its processes runs, all memory is kept,
 *                                              and calls to its supervisor are `sandbox_paused` (act "lifecycle")
 *   POST   /v1/sandboxes/{id}/thaw             200 AgentSandbox, "running" from where it stopped (act "lifecycle")
 *   POST   /v1/sandboxes/{id}/snapshot         SnapshotRequest → 200 SnapshotAnswer: its files are packed while it stands still
 *                                              for a moment, then sent as `protocol/chunks` says (act "lifecycle"). Calls to
 *                                              its supervisor wait meanwhile. Whoever hangs up ends it.
 *   GET    /v1/sandboxes/{id}/metrics?tier=10m|2h|24h|all  200 AgentMetrics; also of a paused one (either act)
 *   DELETE /v1/sandboxes/{id}?files=keep|wipe  204 when nothing of it runs any more (act "lifecycle")
 *   *      /v1/sandboxes/{id}/ports/{port}/...  is passed to the program that listens there, an upgrade too, as
 *                                              `protocol/preview` describes (act "use")
 *   *      /v1/sandboxes/{id}/supervisor/v1/... is passed to the supervisor inside, from its own /v1 on (act "use")
 *
 * Failures are `{ error: { code, message } }` with an `AgentErrorCode`. A generation below the newest one seen for a
 * sandbox is refused with `stale_generation`.
 *
 * Freezing and thawing are safe to repeat. Streams that are open stay so and are silent while the sandbox is paused. Its
 * clock goes on: a command whose time limit passed meanwhile is killed when the sandbox is thawed. A sandbox, paused or
 * not, ends with its agent: afterwards it is "stopped", its files kept.
 */
export const AGENT_ERROR_CODES = [
  "unauthorized",
  "invalid",
  "not_found",
  "sandbox_not_running",
  "sandbox_paused",
  "stale_generation",
  "start_failed",
  "freeze_failed",
  "snapshot_failed",
  "transfer_failed",
  "sandbox_lost",
  "port_closed",
  "port_busy",
  "internal",
] as const;
export type AgentErrorCode = (typeof AGENT_ERROR_CODES)[number];
/** The status each failure is answered with. */
export const AGENT_STATUS: Record<AgentErrorCode, number> = {
  unauthorized: 401,
  invalid: 400,
  not_found: 404,
  sandbox_not_running: 409,
  sandbox_paused: 409,
  stale_generation: 409,
  start_failed: 503,
  freeze_failed: 503,
  snapshot_failed: 503,
  transfer_failed: 503,
  sandbox_lost: 502,
  port_closed: 502,
  port_busy: 503,
  internal: 500,
};
export const AgentError = z.object({
  error: z.object({ code: z.enum(AGENT_ERROR_CODES).catch("internal"), message: z.string() }),
});

export const AGENT_ACTS = ["lifecycle", "use"] as const;
export type AgentAct = (typeof AGENT_ACTS)[number];

export const SandboxLimits = z.object({
  vcpus: z.number().positive(),
  memoryMb: z.int().positive(),
  diskMb: z.int().positive(),
  pids: z.int().positive(),
});
export type SandboxLimits = z.infer<typeof SandboxLimits>;

/** A name (`example.com`), every name below one (`*.example.com`), an IPv4 address, or every public address (`*`). */
export const NETWORK_PATTERN = /^(\*|(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*)$/;
const NetworkPattern = z.string().max(253).regex(NETWORK_PATTERN);

/** What a sandbox may reach outside: nothing, or what a list names, through the agent's proxy and on few ports. */
export const NetworkPolicy = z.union([z.literal("off"), z.object({ allow: z.array(NetworkPattern).min(1).max(200) })]);
export type NetworkPolicy = z.infer<typeof NetworkPolicy>;

/**
 * The files that a sandbox begins with: `root` names their manifest, `token` is for reading it, and machines keep chunks
 * apart by `owner`. Only a sandbox that has no files yet is filled; a later start ignores it.
 */
export const SandboxSource = z.object({
  root: ChunkHash,
  token: z.string().min(1).max(4096),
  owner: z.string().regex(/^[A-Za-z0-9_-]{1,80}$/),
});
export type SandboxSource = z.infer<typeof SandboxSource>;

/** A command line, and the folder it runs in: the workspace unless told. */
export const StartCommand = z.object({ command: z.string().min(1), cwd: z.string().min(1).optional() });
export type StartCommand = z.infer<typeof StartCommand>;

/**
 * What a template leaves to run in its sandboxes: variables of whatever is started there, which a request's own go
 * before, and commands that each boot starts as processes tagged `start-1` and so on. One that fails does no harm to the
 * boot. A sandbox that was thawed goes on with those it has.
 */
export const SandboxSetup = z.object({
  env: z.record(z.string(), z.string()),
  start: z.array(StartCommand).max(100),
});
export type SandboxSetup = z.infer<typeof SandboxSetup>;

export const StartSandbox = z.object({
  limits: SandboxLimits,
  network: NetworkPolicy.default("off"),
  source: SandboxSource.optional(),
  setup: SandboxSetup.optional(),
});
export type StartSandbox = z.infer<typeof StartSandbox>;

/** `token` is for one upload of chunks. */
export const SnapshotRequest = z.object({ token: z.string().min(1).max(4096) });
/** The manifest that was sent, bytes of the archive and of what had to be sent, and how long the sandbox stood still. */
export const SnapshotAnswer = z.object({
  root: ChunkHash,
  bytes: z.int(),
  sentBytes: z.int(),
  frozenMs: z.number(),
});
export type SnapshotAnswer = z.infer<typeof SnapshotAnswer>;

/** Processes and threads that a sandbox may have. */
export const USUAL_PIDS = 512;
/** What a new sandbox is started with unless somebody asked for other sizes. */
export const USUAL_START: StartSandbox = {
  limits: { vcpus: 1, memoryMb: 512, diskMb: 5120, pids: USUAL_PIDS },
  network: "off",
};

/** What runs a sandbox, as versions and names for people. */
export const AgentMachine = z.object({
  kernel: z.string(),
  agent: z.string(),
  supervisor: z.string(),
  isolation: z.string(),
});
export type AgentMachine = z.infer<typeof AgentMachine>;

/**
 * `unenforced` lists limits and protections this machine cannot enforce, in words for people. `bootMs` is how long the
 * supervisor took to serve; nobody has waited for it when the sandbox was `warm`, which means started before it was
 * asked for. `network` is what holds for the sandbox that runs; "open" where nothing keeps it from the machine's own
 * network.
 */
export const AgentSandbox = z.object({
  id: z.string(),
  generation: z.int(),
  status: z.enum(["running", "paused", "stopped"]),
  bootMs: z.number().nullable(),
  /** How much of a sandbox's files has come while it is being filled; null before and after. */
  filling: z.object({ bytes: z.int(), of: z.int() }).nullable().default(null),
  warm: z.boolean().default(false),
  unenforced: z.array(z.string()),
  network: z.union([NetworkPolicy, z.literal("open")]).default("off"),
  machine: AgentMachine.optional(),
});
export type AgentSandbox = z.infer<typeof AgentSandbox>;

/**
 * `cpuPct` is 0 to 100 of all the sandbox's processors, `memBytes` what is resident, `diskBytes` what its files take. A
 * point of an average carries the begin of its period.
 */
export const MetricPoint = z.object({
  atMs: z.number(),
  cpuPct: z.number(),
  memBytes: z.number(),
  diskBytes: z.number(),
});
export type MetricPoint = z.infer<typeof MetricPoint>;

/** Ten minutes every 500 ms, two hours of averages over 30 seconds, a day of averages over five minutes. */
export const METRIC_TIERS = ["10m", "2h", "24h"] as const;
export type MetricTier = (typeof METRIC_TIERS)[number];

/** The tiers asked for, oldest point first. Time during which the sandbox was paused has no points. They end with it. */
export const AgentMetrics = z.object({ tiers: z.partialRecord(z.enum(METRIC_TIERS), z.array(MetricPoint)) });
export type AgentMetrics = z.infer<typeof AgentMetrics>;

/** How sandboxes are frozen: at once by the kernel, process by process (which they can notice), or not at all. */
export const AGENT_FREEZES = ["kernel", "signals", "never"] as const;
export type AgentFreezes = (typeof AGENT_FREEZES)[number];

/** Sandboxes that are ready for the next start; how many starts of new sandboxes found one, and how many did not. */
export const AgentWarm = z.object({ ready: z.int(), taken: z.int(), missed: z.int() });
export type AgentWarm = z.infer<typeof AgentWarm>;

export const AgentHealth = z.object({
  ok: z.literal(true),
  hostId: z.string().nullable(),
  version: z.string(),
  isolation: z.enum(["bubblewrap", "container", "none"]),
  freezes: z.enum(AGENT_FREEZES),
  unenforced: z.array(z.string()),
  sandboxes: z.int(),
  warm: AgentWarm.default({ ready: 0, taken: 0, missed: 0 }),
});
export type AgentHealth = z.infer<typeof AgentHealth>;

/** Issuer of the control plane's tokens. */
export const CONTROL_ISSUER = "longshore";
