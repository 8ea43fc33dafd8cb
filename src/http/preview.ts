import { demand } from "#domain/actor";
import { findPublicTeam } from "#domain/preview/find-public-team";
import { type PreviewTarget, readPreviewHost } from "#domain/preview/values";
import { isApiKey } from "#domain/principal/values";
import { addressOf } from "#http/address";
import { authenticate } from "#http/authenticate";
import { cookie } from "#http/cookies";
import { answerOfPort, headersForPort, PREVIEW_COOKIE, previewCookies } from "#http/preview-headers";
import type { AuthSettings, BaseCtx } from "#http/surface";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { AgentError, type AgentErrorCode } from "#protocol/host-agent";
import { PREVIEW_HEADERS } from "#protocol/preview";

const PARAMETER = "longshore_token";

type Preview = { base: BaseCtx; settings: AuthSettings; request: Request; sandboxId: string; port: number };
/** Whose sandbox it is, as the caller has proven; or the answer that the caller gets instead. */
type Access = { teamId: string } | Response;

/**
 * Answers a request to the host name of a sandbox's port (platform R422), which never reaches the API; undefined for a
 * request to any other host. A port is private unless its sandbox is labelled public: the caller needs a signed link, or
 * its cookie, or an API key of the team. To everybody else it is as if there were none (T1).
 */
export async function servePreview(
  base: BaseCtx,
  settings: AuthSettings,
  request: Request,
): Promise<Response | undefined> {
  const target = readPreviewHost(new URL(request.url).hostname, base.previews.domain);
  if (!target) return undefined;
  try {
    return await answer(base, settings, request, target);
  } catch (error) {
    if (error instanceof Fault) return words(error.code === "forbidden" ? 403 : 401, error.message);
    base.log.error("a preview failed", { error });
    return words(502, "the host of this sandbox does not answer");
  }
}

async function answer(base: BaseCtx, settings: AuthSettings, request: Request, { port, sandboxId }: PreviewTarget) {
  if (port === undefined) return words(400, "a port is a number from 1 to 65535");
  if (sandboxId === undefined) return unknown();
  const preview = { base, settings, request, sandboxId, port };
  const access = await accessTo(preview);
  return access instanceof Response ? access : pass(preview, access.teamId);
}

async function accessTo(preview: Preview): Promise<Access> {
  const { base, settings, request, sandboxId, port } = preview;
  const token = new URL(request.url).searchParams.get(PARAMETER);
  if (token !== null) return byLink(preview, token);
  for (const value of previewCookies(request)) {
    const link = await base.previews.read(value);
    if (link?.sandboxId === sandboxId && link.port === port) return { teamId: link.teamId };
  }
  const bearer = request.headers.get("authorization")?.replace(/^bearer\s+/i, "");
  const key = request.headers.get("x-api-key") ?? (bearer !== undefined && isApiKey(bearer) ? bearer : null);
  if (key !== null) {
    const asked = new Request(request.url, { headers: { "x-api-key": key } });
    const actor = await authenticate(base, { request: asked, settings, accepts: ["api_key"], answer: new Headers() });
    demand(actor, "sandbox:write");
    return { teamId: actor.teamId };
  }
  const teamId = await findPublicTeam(base.db, sandboxId);
  return teamId === undefined ? unknown() : { teamId };
}

/** A browser takes the link's secret as a cookie and asks again without it; others are let through with it. */
async function byLink({ base, request, sandboxId, port }: Preview, token: string): Promise<Access> {
  const link = await base.previews.read(token);
  if (link?.sandboxId !== sandboxId || link.port !== port) {
    return words(401, "this link is not valid, or not any more; ask for a new one");
  }
  const browses = request.method === "GET" && request.headers.get("upgrade") === null;
  if (!browses) return { teamId: link.teamId };
  const maxAgeMs = Math.max(0, Math.floor((link.expiresAt - base.now()) / SECOND) * SECOND);
  const { origin } = new URL(request.url);
  return new Response(null, {
    status: 302,
    headers: {
      location: `${origin}${pathOf(request)}`,
      "set-cookie": cookie(request.url, PREVIEW_COOKIE, token, { maxAgeMs, sameSite: "Lax" }),
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    },
  });
}

async function pass({ base, settings, request, sandboxId, port }: Preview, teamId: string): Promise<Response> {
  const route = await base.sandboxes.sandbox(sandboxId).route(teamId, { wake: false });
  if (!route.ok) {
    if (route.code === "sandbox_not_found") return unknown();
    return words(route.code === "sandbox_not_running" ? 409 : 503, route.message);
  }
  const response = await base.previews.send(route.value, sandboxId, port, {
    method: request.method,
    path: pathOf(request),
    headers: headersForPort(request, addressOf(request, settings.proxyHeader)),
    body: request.body,
  });
  return response.headers.has(PREVIEW_HEADERS.answer) ? answerOfPort(response) : whyNot(response, port);
}

/** Path and query as they were sent, without our parameter. */
function pathOf(request: Request): string {
  const { pathname, search } = new URL(request.url);
  const kept = search
    .slice(1)
    .split("&")
    .filter((part) => part !== "" && part.split("=")[0] !== PARAMETER);
  return kept.length > 0 ? `${pathname}?${kept.join("&")}` : pathname;
}

const NOT_RUNNING: readonly AgentErrorCode[] = [
  "sandbox_not_running",
  "sandbox_paused",
  "not_found",
  "stale_generation",
];

/** The host's own words, in ours. */
async function whyNot(response: Response, port: number): Promise<Response> {
  const read = AgentError.safeParse(await response.json().catch(() => null));
  const code = read.success ? read.data.error.code : undefined;
  if (code === "port_closed") return words(502, `nothing answers on port ${port} of this sandbox`);
  if (code === "port_busy") return words(503, "too many requests to this sandbox are open, try again later");
  if (code !== undefined && NOT_RUNNING.includes(code)) return words(409, "the sandbox does not run");
  return words(502, "the host of this sandbox does not answer");
}

const unknown = () =>
  words(404, "there is no such sandbox, or it is private: open it by a signed link, or send X-API-Key");

const words = (status: number, text: string): Response =>
  new Response(`${text}\n`, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
