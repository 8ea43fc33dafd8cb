import type { Actor } from "#domain/actor";
import type { Result } from "#kernel/fault";
import type { JsonObject } from "#kernel/json";

export type IdempotencyAnswer = { status: number; body: JsonObject | null };

/** What an `Idempotency-Key` means for a request that arrives with it. */
export type IdempotencyClaim =
  /**
   * First use, or a crash came between: do the work at the time and with the ids that `seed` gives, so that a repeat
   * makes the same rows. `seed` is 32 hexadecimal digits.
   */
  { state: "fresh"; seed: string; at: number } | { state: "answered"; answer: IdempotencyAnswer };

/** Liveness of one principal's credentials, and its idempotency keys. One hop, no D1. */
export interface PrincipalHandle {
  /** Stores a credential by the SHA-256 of its secret. Safe to repeat. */
  enrol(credential: { id: string; secretHash: string; actor: Actor; expiresAt: number | null }): Promise<void>;
  /** The actor of a live credential; `unauthenticated` for a wrong, expired or revoked one. */
  verify(secretHash: string): Promise<Result<Actor>>;
  /** From the next `verify` on the credential is refused. */
  revoke(credentialId: string): Promise<void>;
  /**
   * Claims a key for a request. Refuses with `idempotency_mismatch` when the key came with another request before and
   * with `idempotency_running` while the first request is still at work, which it is believed for a minute.
   */
  claim(key: string, fingerprint: string): Promise<Result<IdempotencyClaim>>;
  /** Stores the answer of a claimed key. */
  settle(key: string, answer: IdempotencyAnswer): Promise<void>;
  /**
   * Gives a claim up. Without effect the key is forgotten; with an unknown one it keeps request and seed, so that a
   * repeat completes the same work.
   */
  release(key: string, effect: "none" | "unknown"): Promise<void>;
}

export type PrincipalPort = { principal(id: string): PrincipalHandle };
