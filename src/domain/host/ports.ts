import type { Result } from "#kernel/fault";

/** Liveness of one host. */
export interface HostHandle {
  /** Stores the hash of the one-time registration token; an earlier token stops working. */
  invite(input: { hostId: string; tokenHash: string; expiresAt: number }): Promise<void>;
  /** Takes the registration token, once; `unauthenticated` when it is wrong, used or expired. */
  redeem(tokenHash: string): Promise<Result<null>>;
  /** Notes a sign of life and arms the alarm that marks the host unreachable. */
  beat(): Promise<Result<null>>;
}

export type HostPort = { host(id: string): HostHandle };
