import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { z } from "zod";
import { SECOND } from "#kernel/time";
import { AGENT_ACTS, CONTROL_ISSUER } from "#protocol/host-agent";
import { Failure } from "./failure.ts";

const LIFETIME_SECONDS = 60;
const SKEW_SECONDS = 5;
/** Tokens remembered; the control plane uses each for many calls. */
const REMEMBERED = 1000;

export const SandboxId = z.string().regex(/^[A-Za-z0-9_-]{1,80}$/);

/** Used tokens remembered until they expire; far more than a control plane makes in that time. */
const MOST_SPENT = 10_000;

const Claims = z.object({
  sub: SandboxId,
  act: z.enum(AGENT_ACTS),
  gen: z.int().nonnegative(),
  exp: z.number(),
  /** Name of a token that can be used once. */
  jti: z.string().min(1).max(100).optional(),
});
export type Claims = z.infer<typeof Claims>;

/** Reads the control plane's tokens for this host. Anything but a fresh one it signed is `unauthorized`. */
export class TokenReader {
  readonly #credentials: () => Identity | undefined;
  readonly #spent = new Map<string, number>();
  #verifier: Verifier | undefined;

  constructor(credentials: () => Identity | undefined) {
    this.#credentials = credentials;
  }

  /** The claims of an `Authorization` header. */
  async read(authorization: string | undefined): Promise<Claims> {
    const credentials = this.#credentials();
    const token = /^Bearer ([\w.-]{1,4096})$/.exec(authorization ?? "")?.[1];
    if (!credentials || !token) throw new Failure("unauthorized", "a token of the control plane is required");
    try {
      return await this.#verifierFor(credentials).claims(token);
    } catch {
      throw new Failure("unauthorized", "the token is not valid here");
    }
  }

  /**
   * Uses a token up: what changes a sandbox's life cannot be repeated by whoever has seen it pass. What is remembered of
   * used tokens is bounded; beyond that none is taken.
   */
  spend({ jti, exp }: Claims): void {
    const now = Date.now() / SECOND;
    for (const [name, until] of this.#spent) {
      if (until >= now - SKEW_SECONDS) break;
      this.#spent.delete(name);
    }
    if (jti === undefined || this.#spent.has(jti)) throw new Failure("unauthorized", "the token was used already");
    if (this.#spent.size >= MOST_SPENT) throw new Failure("unauthorized", "too many calls at once");
    this.#spent.set(jti, exp);
  }

  #verifierFor(identity: Identity): Verifier {
    if (!this.#verifier?.serves(identity)) this.#verifier = new Verifier(identity);
    return this.#verifier;
  }
}

type Identity = { hostId: string; keys: JSONWebKeySet };

/** Verifies tokens for one identity of this host, each of them once. */
class Verifier {
  readonly #identity: Identity;
  readonly #keySet: ReturnType<typeof createLocalJWKSet>;
  readonly #verified = new Map<string, Claims>();

  constructor(identity: Identity) {
    this.#identity = identity;
    this.#keySet = createLocalJWKSet(identity.keys);
  }

  serves({ hostId, keys }: Identity): boolean {
    return hostId === this.#identity.hostId && keys === this.#identity.keys;
  }

  async claims(token: string): Promise<Claims> {
    const known = this.#verified.get(token);
    if (known && known.exp > Date.now() / SECOND - SKEW_SECONDS) return known;
    const { payload } = await jwtVerify(token, this.#keySet, {
      algorithms: ["EdDSA"],
      issuer: CONTROL_ISSUER,
      audience: this.#identity.hostId,
      clockTolerance: SKEW_SECONDS,
      requiredClaims: ["exp", "sub", "act", "gen"],
    });
    const claims = Claims.parse(payload);
    if (claims.exp > Date.now() / SECOND + LIFETIME_SECONDS + SKEW_SECONDS) throw new Error("lives too long");
    this.#remember(token, claims);
    return claims;
  }

  #remember(token: string, claims: Claims): void {
    this.#verified.set(token, claims);
    if (this.#verified.size <= REMEMBERED) return;
    const [oldest] = this.#verified.keys();
    if (oldest !== undefined) this.#verified.delete(oldest);
  }
}
