import { beginSession } from "#domain/account/begin-session";
import type { User } from "#domain/account/repo";
import type { Role } from "#domain/actor";
import type { Ctx } from "#domain/context";
import type { Device } from "#domain/principal/ports";

/** Who just logged in and where. `token` is the session's secret, for the browser's cookie alone. */
export type SignedIn = {
  token: string;
  userId: string;
  teamId: string;
  email: string;
  name: string;
  role: Role;
  isAdmin: boolean;
};

/** Begins a session of a user in one of their teams, and tells what the web app starts with. */
export async function signIn(
  ctx: Pick<Ctx, "now" | "principals">,
  { id: userId, email, name, isPlatformAdmin: isAdmin }: User,
  { teamId, role }: { teamId: string; role: Role },
  device: Device,
): Promise<SignedIn> {
  const token = await beginSession(ctx, { userId, teamId, device });
  return { token, userId, teamId, email, name, role, isAdmin };
}
