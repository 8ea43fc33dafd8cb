import type { SandboxState } from "#domain/sandbox/state";
import { SECOND } from "#kernel/time";

/**
 * When a running sandbox will not have been used for as long as it may, in milliseconds; null for one that does not run,
 * or that may idle for ever (platform R146, R147). Pure.
 */
export function idleAt(
  { status, startedAt }: Pick<SandboxState, "status" | "startedAt">,
  timeoutSec: number,
  lastActiveAt: number | null,
): number | null {
  const since = lastActiveAt ?? startedAt;
  return status === "running" && timeoutSec > 0 && since !== null ? since + timeoutSec * SECOND : null;
}
