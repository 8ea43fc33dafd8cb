import type { Ctx } from "#domain/context";
import type { Device, Enrolment } from "#domain/principal/ports";
import { makeSessionToken, SESSION_IDLE_MS, SESSION_LIFE_MS, userPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";

type Start = { userId: string; teamId: string; device: Device };

/** Begins a session of a user in a team and returns its secret, which is shown to the browser alone. */
export async function beginSession(ctx: Pick<Ctx, "now" | "principals">, start: Start): Promise<string> {
  const { token, enrolment } = await newSession(ctx, start);
  await ctx.principals.principal(userPrincipal(start.userId)).enrol(enrolment);
  return token;
}

/**
 * A session that is yet to be enrolled with its user's principal. Its id is the secret's hash, so it can be listed and
 * revoked, and is worth nothing as a credential (platform R52).
 */
export async function newSession(
  { now }: Pick<Ctx, "now">,
  { userId, teamId, device }: Start,
): Promise<{ token: string; enrolment: Enrolment }> {
  const [token, createdAt] = [makeSessionToken(userId), now()];
  const id = await sha256(token);
  const enrolment: Enrolment = {
    id,
    secretHash: id,
    grant: { kind: "session", userId, teamId },
    createdAt,
    expiresAt: createdAt + SESSION_LIFE_MS,
    idleMs: SESSION_IDLE_MS,
    device,
  };
  return { token, enrolment };
}
