import type { Actor, Permission } from "#domain/actor";
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

/**
 * Whom a credential acts for. Name, role and standing of a user are read from the directory and kept until they change;
 * a `fixed` actor is what it is.
 */
export type Grant =
  | { kind: "session"; userId: string; teamId: string }
  | { kind: "api_key"; keyId: string; keyName: string; userId: string; teamId: string }
  | { kind: "fixed"; actor: Actor };

/** Where a session was begun, as its owner sees it listed. */
export type Device = { userAgent: string; address: string };

export type Enrolment = {
  id: string;
  /** SHA-256 of the secret, lower-case hex. */
  secretHash: string;
  grant: Grant;
  createdAt: number;
  /** When it ends whatever happens, in milliseconds; null for never. */
  expiresAt: number | null;
  /** How long it may go unused; null for as long as it likes. */
  idleMs: number | null;
  device: Device | null;
};

export type ListedCredential = Pick<Enrolment, "id" | "createdAt" | "expiresAt" | "device"> & { seenAt: number };

/** A limit on how often something may happen: at most `quota` in `windowMs`, refilled evenly. */
export type Limit = { bucket: string; quota: number; windowMs: number };

/** What is left of a limit after a request; `retryAfterMs` is 0 when the request may go on. */
export type LimitState = Limit & { remaining: number; resetMs: number; retryAfterMs: number };

/** Liveness of one principal's credentials, its idempotency keys and its rate limits. One hop, no D1 on the way. */
export interface PrincipalHandle {
  /**
   * Stores a credential by the SHA-256 of its secret. Safe to repeat. Of more than a hundred live ones those that were
   * not used for longest end.
   */
  enrol(credential: Enrolment): Promise<void>;
  /** Ends a credential and enrols another for it; false, and nothing is done, when it is not live any more. */
  replace(credentialId: string, by: Enrolment): Promise<boolean>;
  /**
   * The actor of a live credential, which also counts as its use; `unauthenticated` for one that is wrong, expired or
   * revoked, and for one whose user may not act any more.
   */
  verify(secretHash: string): Promise<Result<Actor>>;
  /** Live credentials, newest use first. */
  list(): Promise<ListedCredential[]>;
  /** From the next `verify` on the credential is refused, and streams opened with it end. */
  revoke(credentialId: string): Promise<void>;
  revokeAll(): Promise<void>;
  /**
   * To be called before the directory changes who the principal is or what it may do. For some seconds every `verify`
   * then reads the directory, so none answers by what was true before the change.
   */
  distrust(): Promise<void>;
  /** To be called after such a change: ends streams whose credential no longer allows them. */
  recheck(): Promise<void>;
  /**
   * A socket that is closed when the credential ends, or no longer holds `permission` in its present team. It costs
   * nothing while it is idle. Answers 401 when the credential is not live, or its team is not `teamId`.
   */
  watch(credentialId: string, permission: Permission, teamId?: string): Promise<Response>;
  /** Counts one request against limits; when one is used up none is charged. */
  take(limits: readonly Limit[]): Promise<LimitState[]>;
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

export type PrincipalPort = { principal(name: string): PrincipalHandle };
