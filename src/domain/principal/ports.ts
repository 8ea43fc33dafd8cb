import type { Actor } from "#domain/actor";
import type { Result } from "#kernel/fault";
import type { JsonObject } from "#kernel/json";

export type IdempotencyAnswer = { status: number; body: JsonObject | null };

/** What an `Idempotency-Key` means for a request that arrives with it. */
export type IdempotencyClaim =
  /** First use, or a crash came between: do the work with ids derived from `seed`, so a repeat makes the same rows. */
  { state: "fresh"; seed: string } | { state: "answered"; answer: IdempotencyAnswer };

/** Liveness of one principal's credentials, and its idempotency keys. One hop, no D1. */
export interface PrincipalHandle {
  /** Stores a credential by the SHA-256 of its secret. */
  enrol(credential: { id: string; secretHash: string; actor: Actor; expiresAt: number | null }): Promise<void>;
  /** The actor of a live credential; `unauthenticated` for a wrong, expired or revoked one. */
  verify(secretHash: string): Promise<Result<Actor>>;
  /** From the next `verify` on the credential is refused. */
  revoke(credentialId: string): Promise<void>;
  /**
   * Claims a key for a request. Refuses with `idempotency_mismatch` when the key came with another request before and
   * with `idempotency_running` while the first request is still at work.
   */
  claim(key: string, fingerprint: string): Promise<Result<IdempotencyClaim>>;
  /** Stores the answer of a claimed key, or frees the key when the request had no effect (`null`). */
  settle(key: string, answer: IdempotencyAnswer | null): Promise<void>;
}

export type PrincipalPort = { principal(id: string): PrincipalHandle };
