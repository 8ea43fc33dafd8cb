import { z } from "zod";
import type { SignedIn } from "#domain/account/sign-in";
import { setSessionCookies } from "#http/cookies";
import type { Outcome, RawRequest } from "#http/operation";

/** Who is logged in, for the web app to start with; the credential is the cookie alone. */
export const SessionResource = z
  .object({
    user_id: z.string(),
    team_id: z.string(),
    email: z.string(),
    name: z.string(),
    role: z.string(),
    is_admin: z.boolean(),
  })
  .meta({ id: "SessionResponse" });

/** Puts a new session into the browser and tells whose it is. */
export async function answerSignedIn(
  { token, ...who }: SignedIn,
  { raw, outcome }: { raw: RawRequest; outcome: Outcome },
): Promise<z.input<typeof SessionResource>> {
  await setSessionCookies(outcome.headers, raw.url, token);
  const { userId: user_id, teamId: team_id, isAdmin: is_admin, email, name, role } = who;
  return { user_id, team_id, email, name, role, is_admin };
}
