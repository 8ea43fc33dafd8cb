import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { SECOND } from "#kernel/time";
import { signerOf } from "#platform/signing";
import { AGENT_ACTS, type AgentAct, CONTROL_ISSUER } from "#protocol/host-agent";

/** A host accepts the control plane's tokens for this long. */
const CONTROL_TOKEN_TTL_MS = 60 * SECOND;

export type ControlSubject = { hostId: string; sandboxId: string; generation: number };

/**
 * A token by which one host lets the bearer act on one sandbox under one lease, as `protocol/host-agent` describes. One for
 * the lifecycle works once.
 */
export async function signControlToken(
  env: { SIGNING_KEY?: string },
  { hostId, sandboxId, generation }: ControlSubject,
  act: AgentAct,
): Promise<{ token: string; expiresAt: number }> {
  const { privateKey, kid } = await signerOf(env);
  const issuedAt = Math.floor(Date.now() / SECOND);
  const expiresAt = issuedAt + CONTROL_TOKEN_TTL_MS / SECOND;
  const token = await new SignJWT({ gen: generation, act })
    .setProtectedHeader({ alg: "EdDSA", kid })
    .setIssuer(CONTROL_ISSUER)
    .setAudience(hostId)
    .setSubject(sandboxId)
    .setJti(crypto.randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(privateKey);
  return { token, expiresAt: expiresAt * SECOND };
}

const Payload = z.object({ sub: z.string(), gen: z.int().nonnegative(), act: z.enum(AGENT_ACTS) });

export type ControlClaims = { sandboxId: string; generation: number; act: AgentAct };

/** The claims of an `Authorization` header with a token for this host; undefined unless we signed it and it still holds. */
export async function readControlToken(
  env: { SIGNING_KEY?: string },
  authorization: string | null,
  hostId: string,
): Promise<ControlClaims | undefined> {
  const token = /^Bearer ([\w.-]{1,4096})$/.exec(authorization ?? "")?.[1];
  if (!token) return undefined;
  const { publicKey } = await signerOf(env);
  try {
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: ["EdDSA"],
      issuer: CONTROL_ISSUER,
      audience: hostId,
      requiredClaims: ["exp"],
    });
    const { sub, gen, act } = Payload.parse(payload);
    return { sandboxId: sub, generation: gen, act };
  } catch {
    return undefined;
  }
}
