import type { z } from "zod";
import type { Ctx } from "#domain/context";
import { linkContext, STATE_CONTEXT } from "#domain/oauth/begin-flow";
import { linkIdentity } from "#domain/oauth/link-identity";
import { logInByIdentity } from "#domain/oauth/log-in-by-identity";
import type { OAuthIdentity } from "#domain/oauth/ports";
import { takeState } from "#domain/oauth/repo";
import { Flow, Link, type LoginError, LoginRefused } from "#domain/oauth/values";
import type { Device } from "#domain/principal/ports";
import { sameText, sha256 } from "#kernel/digest";

/** What a browser brings back from a provider. */
export type Return = {
  provider: string;
  code?: string | undefined;
  state?: string | undefined;
  /** The provider's own `error`. */
  error?: string | undefined;
  stateCookie?: string | undefined;
  linkCookie?: string | undefined;
  device: Device;
};

/** `token` is the secret of a session that began, or null when a provider was linked, which begins none. */
export type Returned = { ok: true; token: string | null } | { ok: false; error: LoginError };

/**
 * Ends what `beginFlow` began, by a login or by linking the provider to an account. Public: the browser proves by its
 * cookies that it is the one that left. Every failure is a value, as the browser must be sent on in any case (R85).
 */
export async function returnFromProvider(ctx: Ctx, input: Return): Promise<Returned> {
  try {
    return { ok: true, token: await finish(ctx, input) };
  } catch (error) {
    if (!(error instanceof LoginRefused)) {
      ctx.log.error("a login at a provider failed", { provider: input.provider, error });
      return { ok: false, error: "internal_error" };
    }
    ctx.log.info("a login at a provider was refused", { error: error.error, reason: error.message });
    return { ok: false, error: error.error };
  }
}

async function finish(ctx: Ctx, input: Return): Promise<string | null> {
  if (input.error !== undefined) throw new LoginRefused("access_denied", "the provider sent an error");
  const { flow, link } = await takeFlow(ctx, input);
  if (!input.code) throw new LoginRefused("missing_code", "no code came back");
  const identity = await identify(ctx, flow, input.code);
  const asked = { provider: flow.provider, identity };
  if (!link) return logInByIdentity(ctx, { ...asked, knownOnly: flow.knownOnly, device: input.device });
  await linkIdentity(ctx, { ...asked, link });
  return null;
}

/** The flow that the browser left with, which is used up by this. */
async function takeFlow(ctx: Ctx, input: Return): Promise<{ flow: Flow; link: Link | null }> {
  const flow = await open(ctx, Flow, input.stateCookie, STATE_CONTEXT);
  if (!flow) throw new LoginRefused("invalid_state", "the browser did not leave from here");
  const same = input.state !== undefined && sameText(input.state, flow.state) && input.provider === flow.provider;
  if (!same) throw new LoginRefused("invalid_state", "the state is not the browser's");
  const noted = await takeState(ctx.db, await sha256(flow.state), ctx.now());
  if (!noted) throw new LoginRefused("invalid_state", "the state was used before or is too old");
  const link = (await open(ctx, Link, input.linkCookie, linkContext(flow.state))) ?? null;
  // A link without its cookie must not become a login, nor may a cookie alone choose the account.
  if (noted.userId !== (link?.userId ?? null)) throw new LoginRefused("invalid_state", "the link cookie does not fit");
  return { flow, link };
}

async function identify(ctx: Ctx, flow: Flow, code: string): Promise<OAuthIdentity> {
  const { state, verifier, redirectUri } = flow;
  const identified = await ctx.oauth.provider(flow.provider)?.identify({ code, state, verifier, redirectUri });
  if (identified?.ok) return identified.identity;
  throw new LoginRefused("exchange_failed", identified?.reason ?? "the provider is not set up any more");
}

/** Opens a sealed cookie; undefined for anything that was not sealed here for that context. */
async function open<S extends z.ZodType>(
  ctx: Ctx,
  schema: S,
  sealed: string | undefined,
  context: string,
): Promise<z.output<S> | undefined> {
  if (!sealed) return undefined;
  const text = await ctx.secrets.open(sealed, context).catch(() => undefined);
  return text === undefined ? undefined : schema.parse(JSON.parse(text));
}
