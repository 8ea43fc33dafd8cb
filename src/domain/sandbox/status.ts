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
