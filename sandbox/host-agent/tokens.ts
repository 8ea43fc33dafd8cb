import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { z } from "zod";
import { SECOND } from "#kernel/time";
import { AGENT_ACTS, CONTROL_ISSUER } from "#protocol/host-agent";
import { Failure } from "./failure.ts";

const LIFETIME_SECONDS = 60;
const SKEW_SECONDS = 5;

export const SandboxId = z.string().regex(/^[A-Za-z0-9_-]{1,80}$/);

const Claims = z.object({ sub: SandboxId, act: z.enum(AGENT_ACTS), gen: z.int().nonnegative(), exp: z.number() });
export type Claims = z.infer<typeof Claims>;

/** Reads the control plane's tokens for this host. Anything but a fresh one it signed is `unauthorized`. */
export class TokenReader {
  readonly #credentials: () => { hostId: string; keys: JSONWebKeySet } | undefined;

  /** Imported keys are remembered as long as the control plane's set is the same. */
  #verifier: { keys: JSONWebKeySet; verify: ReturnType<typeof createLocalJWKSet> } | undefined;

  constructor(credentials: () => { hostId: string; keys: JSONWebKeySet } | undefined) {
    this.#credentials = credentials;
  }

  /** The claims of an `Authorization` header. */
  async read(authorization: string | undefined): Promise<Claims> {
    const credentials = this.#credentials();
    const token = /^Bearer ([\w.-]{1,4096})$/.exec(authorization ?? "")?.[1];
    if (!credentials || !token) throw new Failure("unauthorized", "a token of the control plane is required");
    try {
      const { payload } = await jwtVerify(token, this.#keySet(credentials.keys), {
        algorithms: ["EdDSA"],
        issuer: CONTROL_ISSUER,
        audience: credentials.hostId,
        clockTolerance: SKEW_SECONDS,
        requiredClaims: ["exp", "sub", "act", "gen"],
      });
      const claims = Claims.parse(payload);
      if (claims.exp > Date.now() / SECOND + LIFETIME_SECONDS + SKEW_SECONDS) throw new Error("lives too long");
      return claims;
    } catch {
      throw new Failure("unauthorized", "the token is not valid here");
    }
  }

  #keySet(keys: JSONWebKeySet): ReturnType<typeof createLocalJWKSet> {
    if (this.#verifier?.keys !== keys) this.#verifier = { keys, verify: createLocalJWKSet(keys) };
    return this.#verifier.verify;
  }
}
