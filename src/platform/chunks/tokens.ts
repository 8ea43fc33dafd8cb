import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { ChunkPort, Transfer } from "#domain/chunk/ports";
import { ok, refuse } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { signerOf } from "#platform/signing";
import { CONTROL_ISSUER } from "#protocol/host-agent";

const AUDIENCE = "chunks";
const TYPE = "chunks+jwt";

const Common = z.object({ teamId: z.string(), hostId: z.string() });
const Payload = z.object({
  transfer: z.discriminatedUnion("act", [
    Common.extend({ act: z.literal("put"), uploadId: z.string().min(1) }),
    Common.extend({ act: z.literal("get"), root: z.string().min(1) }),
  ]),
});

type Tokens = Pick<ChunkPort, "issueToken" | "readToken">;

/** Tokens for one transfer. Audience and type differ from every other token the same key signs (T4, T6). */
export function makeTransferTokens(env: { SIGNING_KEY?: string }): Tokens {
  return {
    async issueToken(transfer, lifeMs) {
      const { privateKey, kid } = await signerOf(env);
      return new SignJWT({ transfer })
        .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid })
        .setIssuer(CONTROL_ISSUER)
        .setAudience(AUDIENCE)
        .setSubject(transfer.hostId)
        .setIssuedAt()
        .setExpirationTime(Math.floor((Date.now() + lifeMs) / SECOND))
        .sign(privateKey);
    },
    async readToken(token) {
      const { publicKey } = await signerOf(env);
      try {
        const { payload } = await jwtVerify(token, publicKey, {
          algorithms: ["EdDSA"],
          issuer: CONTROL_ISSUER,
          audience: AUDIENCE,
          typ: TYPE,
          requiredClaims: ["exp", "sub"],
        });
        return ok(Payload.parse(payload).transfer satisfies Transfer);
      } catch {
        return refuse("unauthenticated", "the token is not valid");
      }
    },
  };
}
