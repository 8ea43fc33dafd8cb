import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { HostTokens } from "#domain/host/ports";
import { HOST_JWT_TTL_MS } from "#domain/host/values";
import { ok, refuse } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { signerOf } from "#platform/signing";
import { CONTROL_ISSUER } from "#protocol/host-agent";

const AUDIENCE = "host";
const TYPE = "host+jwt";

const Payload = z.object({ sub: z.string(), team: z.string().nullable(), fam: z.int() });

/** JWTs of hosts. Audience and type differ from every other token the same key signs, so they do not cross (T4, T6). */
export function makeHostTokens(env: { SIGNING_KEY?: string }): HostTokens {
  return {
    async issue({ hostId, teamId, family }) {
      const { privateKey, kid } = await signerOf(env);
      return new SignJWT({ team: teamId, fam: family })
        .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid })
        .setIssuer(CONTROL_ISSUER)
        .setAudience(AUDIENCE)
        .setSubject(hostId)
        .setIssuedAt()
        .setExpirationTime(Math.floor((Date.now() + HOST_JWT_TTL_MS) / SECOND))
        .sign(privateKey);
    },
    async read(token) {
      const { publicKey } = await signerOf(env);
      try {
        const { payload } = await jwtVerify(token, publicKey, {
          algorithms: ["EdDSA"],
          issuer: CONTROL_ISSUER,
          audience: AUDIENCE,
          typ: TYPE,
          requiredClaims: ["exp", "sub"],
        });
        const { sub, team, fam } = Payload.parse(payload);
        return ok({ hostId: sub, teamId: team, family: fam });
      } catch {
        return refuse("unauthenticated", "the host token is not valid");
      }
    },
    async controlKeys() {
      return [(await signerOf(env)).publicJwk];
    },
  };
}
