import type { Ctx } from "#domain/context";
import type { Device } from "#domain/principal/ports";
import { makeSessionToken, SESSION_IDLE_MS, SESSION_LIFE_MS, userPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";

/**
 * Begins a session of a user in a team and returns its secret, which is shown to the browser alone. The session's id is
 * the secret's hash, so it can be listed and revoked, and is worth nothing as a credential (platform R52).
 */
export async function beginSession(
  ctx: Pick<Ctx, "now" | "principals">,
  { userId, teamId, device }: { userId: string; teamId: string; device: Device },
): Promise<string> {
  const [token, createdAt] = [makeSessionToken(userId), ctx.now()];
  const id = await sha256(token);
  await ctx.principals.principal(userPrincipal(userId)).enrol({
    id,
    secretHash: id,
    grant: { kind: "session", userId, teamId },
    createdAt,
    expiresAt: createdAt + SESSION_LIFE_MS,
    idleMs: SESSION_IDLE_MS,
    device,
  });
  return token;
}
