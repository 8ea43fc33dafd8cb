import { z } from "zod";
import { type ListedSession, listSessions } from "#domain/account/list-sessions";
import { revokeSession } from "#domain/account/revoke-session";
import { SESSION_LIFE_MS } from "#domain/principal/values";
import { clearSessionCookies } from "#http/cookies";
import { Empty, operation } from "#http/operation";
import { iso } from "#kernel/time";

const BrowserSession = z.object({
  id: z.string(),
  user_agent: z.string(),
  ip_address: z.string(),
  created_at: z.iso.datetime(),
  last_seen_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
  current: z.boolean(),
});

const toBrowserSession = (session: ListedSession): z.input<typeof BrowserSession> => ({
  id: session.id,
  user_agent: session.device?.userAgent ?? "",
  ip_address: session.device?.address ?? "",
  created_at: iso(session.createdAt),
  last_seen_at: iso(session.seenAt),
  expires_at: iso(session.expiresAt ?? session.createdAt + SESSION_LIFE_MS),
  current: session.current,
});

export const browserSessionOperations = [
  operation({
    id: "listSessions",
    method: "get",
    path: "/v1/me/sessions",
    tag: "me",
    summary: "List the user's live sessions",
    permission: "account:read",
    returns: { status: 200, schema: z.object({ sessions: z.array(BrowserSession) }) },
    faults: [],
    run: async (ctx) => ({ sessions: (await listSessions(ctx)).map(toBrowserSession) }),
  }),
  operation({
    id: "revokeSession",
    method: "delete",
    path: "/v1/me/sessions/{id}",
    tag: "me",
    summary: "End one of the user's sessions",
    permission: "account:write",
    audits: "user.session_revoked",
    params: z.object({ id: z.string().max(200) }),
    returns: { status: 204, schema: Empty },
    faults: [],
    run: async (ctx, { params, raw, outcome }) => {
      await revokeSession(ctx, params.id);
      if (params.id === ctx.actor.credentialId) clearSessionCookies(outcome.headers, raw.url);
      return undefined;
    },
  }),
];
