import { SignJWT } from "jose";
import { SECOND } from "#kernel/time";
import { signerOf } from "#platform/signing";
import { type AgentAct, CONTROL_ISSUER } from "#protocol/host-agent";

/** A host accepts the control plane's tokens for this long. */
const CONTROL_TOKEN_TTL_MS = 60 * SECOND;

export type ControlSubject = { hostId: string; sandboxId: string; generation: number };

/** A token by which one host lets the bearer act on one sandbox under one lease, as `protocol/host-agent` describes. */
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
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(privateKey);
  return { token, expiresAt: expiresAt * SECOND };
}
