/** The platform contract's eleven statuses are the truth; other surfaces map them. `hibernated` is reserved. */
export const SANDBOX_STATUSES = [
  "pending",
  "starting",
  "running",
  "pausing",
  "paused",
  "resuming",
  "stopping",
  "hibernated",
  "stopped",
  "missing",
  "error",
] as const;

export type SandboxStatus = (typeof SANDBOX_STATUSES)[number];

/** Statuses of a sandbox that runs, or can go on where it was, unless somebody destroys it. */
export const LIVE_STATUSES: SandboxStatus[] = [
  "starting",
  "running",
  "pausing",
  "paused",
  "resuming",
  "hibernated",
  "missing",
];

/** Statuses of a sandbox that holds still for a while, with everything that runs in it. */
export const PAUSED_STATUSES: readonly SandboxStatus[] = ["pausing", "paused", "resuming", "hibernated"];
