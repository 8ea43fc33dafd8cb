import type { SandboxEvent, SandboxState } from "#domain/sandbox/state";

/** What a host tells of a sandbox by itself. */
export type SandboxReport = {
  /** The contract's name of what happened; one that is not known changes nothing (platform R334). */
  event: string;
  /** When it happened, in milliseconds; absent for now. */
  at?: number | undefined;
  /** The lease it happened under; absent for the current one. */
  generation?: number | undefined;
  /** What went wrong, in words for people. */
  error?: string | undefined;
};

/** A host that restarted ended what it ran, and asks to have that noticed. Beyond the contract's own names. */
export const RESTARTED = "sandbox.lost";

/** What a report means to the machine (platform R333, R335); undefined when it means nothing. Pure. */
export function eventOf({ event, error, ...report }: SandboxReport, state: SandboxState): SandboxEvent | undefined {
  const { generation = state.generation } = report;
  const message = error ?? `the host reported ${event}`;
  const failed = { generation, code: "sandbox_failed", message } as const;
  switch (event) {
    case "sandbox.started":
      return { type: "booted", generation, machine: state.machine };
    case "sandbox.failed":
      return { type: "not_booted", ...failed };
    case "sandbox.paused":
      return { type: "frozen", generation };
    case "sandbox.pause_failed":
      return { type: "not_frozen", ...failed };
    case "sandbox.resumed":
      return { type: "thawed", generation };
    case "sandbox.resume_failed":
      return { type: "not_thawed", ...failed };
    case "sandbox.auto_paused":
      return { type: "self_paused", generation };
    case "sandbox.stopped":
      return { type: "ended", generation, message, files: false };
    case "sandbox.error":
      return { type: "crashed", generation, message };
    default:
      return undefined;
  }
}
