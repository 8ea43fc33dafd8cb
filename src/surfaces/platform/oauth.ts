import { z } from "zod";
import { connectProvider } from "#domain/oauth/connect-provider";
import { disconnectProvider } from "#domain/oauth/disconnect-provider";
import { returnFromProvider } from "#domain/oauth/return-from-provider";
import { startLogin } from "#domain/oauth/start-login";
import { FLOW_MS, isProvider, PROVIDERS } from "#domain/oauth/values";
import { cookie, setSessionCookies } from "#http/cookies";
import { deviceOf } from "#http/device";
import { Empty, type Outcome, operation, type RawRequest } from "#http/operation";
import { Fault } from "#kernel/fault";
import { MINUTE } from "#kernel/time";

const STATE_COOKIE = "wrenn_oauth_state";
const LINK_COOKIE = "wrenn_oauth_link";

const limit = { name: "oauth", perAddress: { quota: 60, windowMs: 10 * MINUTE } };

/** An unknown provider is not a malformed request but one that is not there (R82). */
const params = z.object({ provider: z.string().meta({ enum: PROVIDERS, description: "Name of the provider" }) });

const demandProvider = (name: string) => {
  if (!isProvider(name)) throw new Fault("provider_not_found", "no such provider");
};

/** Sets or, with null, clears a cookie that comes back on the redirect from another site, and goes nowhere else. */
function putCookie({ url }: RawRequest, { headers }: Outcome, name: string, value: string | null): void {
  const options = { maxAgeMs: value === null ? 0 : FLOW_MS, sameSite: "Lax", path: "/auth/oauth" } as const;
  headers.append("set-cookie", cookie(url, name, value ?? "", options));
}

/** The value of a cookie that was sent once; two of a name mean that somebody planted one. */
function soleCookie(raw: RawRequest, name: string): string | undefined {
  const [value, ...others] = raw.cookies(name);
  return others.length === 0 ? value : undefined;
}

const originOf = (raw: RawRequest) => new URL(raw.url).origin;
/** A value sent once; anything else counts as not sent, as the browser must be sent on in any case (R85). */
const Once = z
  .preprocess(
    (value) => (typeof value === "string" && value.length <= 2_000 ? value : undefined),
    z.string().optional(),
  )
  .meta({ type: "string" });

export const oauthOperations = [
  operation({
    id: "oauthRedirect",
    method: "get",
    path: "/auth/oauth/{provider}",
    tag: "auth",
    summary: "Go to a provider to log in there",
    description: "With `intent=login` a person without an account is turned away; otherwise they get one.",
    permission: null,
    limit,
    params,
    query: z.object({ intent: Once }),
    returns: { status: 302, schema: Empty },
    faults: ["provider_not_found"],
    run: async (ctx, { params: { provider }, query, raw, outcome }) => {
      const knownOnly = query.intent === "login";
      const departure = await startLogin(ctx, { provider, origin: originOf(raw), knownOnly });
      putCookie(raw, outcome, STATE_COOKIE, departure.stateCookie);
      putCookie(raw, outcome, LINK_COOKIE, null);
      outcome.headers.set("location", departure.authUrl);
      return undefined;
    },
  }),
  operation({
    id: "oauthCallback",
    method: "get",
    path: "/auth/oauth/{provider}/callback",
    tag: "auth",
    summary: "Come back from a provider",
    description:
      "Sends the browser on to `/auth/{provider}/callback` of the web app: with a session, or with `?error=` and one of " +
      "`access_denied`, `invalid_state`, `missing_code`, `exchange_failed`, `email_taken` and `internal_error`.",
    permission: null,
    limit,
    params,
    query: z.object({ code: Once, state: Once, error: Once }),
    returns: { status: 302, schema: Empty },
    faults: ["provider_not_found"],
    run: async (ctx, { params: { provider }, query, raw, outcome }) => {
      demandProvider(provider);
      const returned = await returnFromProvider(ctx, {
        provider,
        ...query,
        stateCookie: soleCookie(raw, STATE_COOKIE),
        linkCookie: soleCookie(raw, LINK_COOKIE),
        device: deviceOf(raw),
      });
      putCookie(raw, outcome, STATE_COOKIE, null);
      putCookie(raw, outcome, LINK_COOKIE, null);
      if (returned.ok && returned.token) await setSessionCookies(outcome.headers, raw.url, returned.token);
      // Only the operator says where the web app is: nothing that came with the request does.
      const page = `${ctx.oauth.appUrl || ctx.appUrl || originOf(raw)}/auth/${provider}/callback`;
      outcome.headers.set("location", returned.ok ? page : `${page}?error=${returned.error}`);
      return undefined;
    },
  }),
  operation({
    id: "connectProvider",
    method: "get",
    path: "/v1/me/providers/{provider}/connect",
    tag: "account",
    summary: "Begin to link a provider to the account",
    permission: "account:write",
    limit,
    params,
    returns: { status: 200, schema: z.object({ auth_url: z.url() }) },
    faults: ["provider_not_found"],
    run: async (ctx, { params: { provider }, raw, outcome }) => {
      const departure = await connectProvider(ctx, { provider, origin: originOf(raw) });
      putCookie(raw, outcome, STATE_COOKIE, departure.stateCookie);
      putCookie(raw, outcome, LINK_COOKIE, departure.linkCookie);
      return { auth_url: departure.authUrl };
    },
  }),
  operation({
    id: "disconnectProvider",
    method: "delete",
    path: "/v1/me/providers/{provider}",
    tag: "account",
    summary: "Take a provider from the account",
    permission: "account:write",
    params,
    returns: { status: 204, schema: Empty },
    faults: ["provider_not_found", "last_login_method"],
    run: async (ctx, { params }) => {
      await disconnectProvider(ctx, params.provider);
      return undefined;
    },
  }),
];
