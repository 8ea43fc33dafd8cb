import type { Result } from "#kernel/fault";
import type { JsonObject } from "#kernel/json";

/** The next refresh token of a host, known by its SHA-256 alone. */
export type RefreshGrant = { tokenHash: string; expiresAt: number };

/** Liveness and credentials of one host. Families number registrations: tokens of an older one are worth nothing. */
export interface HostHandle {
  /** Stores the hash of the one-time registration token; an earlier token stops working. */
  invite(input: { hostId: string; tokenHash: string; expiresAt: number }): Promise<void>;
  /** Takes the registration token, once, and begins a family; `unauthenticated` when it is wrong, used or expired. */
  redeem(tokenHash: string, next: RefreshGrant): Promise<Result<{ family: number }>>;
  /**
   * Exchanges the current refresh token for the next one; `unauthenticated` otherwise. A token that was exchanged
   * before ends its family, and the refusal says so with `details.reused`.
   */
  rotate(tokenHash: string, next: RefreshGrant): Promise<Result<{ family: number }>>;
  /** Refuses with `unauthenticated` unless `family` is the live one; a deleted host is told `host_not_found`. */
  verify(family: number): Promise<Result<null>>;
  /**
   * Notes a sign of life, with the host's address if that may have changed, and arms the alarm that marks the host
   * unreachable; `host_not_found` before registration.
   */
  beat(address?: string): Promise<Result<null>>;
  /** Ends all tokens of a host that was deleted; from then on everything answers `host_not_found`. */
  retire(): Promise<void>;
  /** Wakes the object so that it looks after what is due. */
  nudge(): Promise<void>;
}

/** What a host's JWT says. `teamId` is null for a host of the platform. */
export type HostClaims = { hostId: string; teamId: string | null; family: number };

/** Signed tokens of hosts: audience "host", valid seven days. */
export interface HostTokens {
  issue(claims: HostClaims): Promise<string>;
  /** The claims of a token with a good signature that has not expired; says nothing about its family. */
  read(token: string): Promise<Result<HostClaims>>;
  /** Public keys (JWK) by which a host checks the control plane's tokens. */
  controlKeys(): Promise<JsonObject[]>;
}

export type HostPort = { host(id: string): HostHandle; tokens: HostTokens };
