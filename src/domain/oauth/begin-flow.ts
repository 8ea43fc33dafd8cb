import { type Ctx, commit } from "#domain/context";
import { insertState } from "#domain/oauth/repo";
import { FLOW_MS, type Link } from "#domain/oauth/values";
import { sha256 } from "#kernel/digest";
import { Fault } from "#kernel/fault";

/** A browser's way to a provider: where to go, and the sealed cookies to take along. */
export type Departure = { authUrl: string; stateCookie: string; linkCookie: string | null };

type Begin = { provider: string; origin: string; knownOnly: boolean; link: Link | null };

/**
 * Sends a browser to a provider. What must be known again is sealed into its cookies, so only that browser can come
 * back; that a state is used once is kept on the server (platform R92). `origin` is this deployment's own.
 */
export async function beginFlow(ctx: Ctx, { provider: name, origin, knownOnly, link }: Begin): Promise<Departure> {
  const provider = ctx.oauth.provider(name);
  if (!provider) throw new Fault("provider_not_found", "no such provider, or it is not set up here");
  const redirectUri = `${origin}/auth/oauth/${name}/callback`;
  const { authUrl, state, verifier } = await provider.authorize(redirectUri);
  const [createdAt, hash] = [ctx.now(), await sha256(state)];
  const flow = { provider: name, state, verifier, redirectUri, knownOnly };
  const [stateCookie, linkCookie] = await Promise.all([
    ctx.secrets.seal(JSON.stringify(flow), STATE_CONTEXT),
    link && ctx.secrets.seal(JSON.stringify(link), linkContext(state)),
  ]);
  const userId = link?.userId ?? null;
  await commit(ctx.db, insertState(ctx.db, { hash, userId, createdAt, expiresAt: createdAt + FLOW_MS }));
  return { authUrl, stateCookie, linkCookie };
}

export const STATE_CONTEXT = "oauth_state";
/** A link belongs to one flow, so one that is left over from another cannot be opened. */
export const linkContext = (state: string): string => `oauth_link:${state}`;
