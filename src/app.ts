import { Hono } from "hono";
import { stringify } from "yaml";
import { PROVIDERS } from "#domain/oauth/values";
import { ownOrigin } from "#http/app-url";
import { docsPage, landingPage } from "#http/docs";
import { withStandardHeaders } from "#http/headers";
import { loginPage } from "#http/login-page";
import { servePreview } from "#http/preview";
import { requestIdOf } from "#http/request-id";
import type { AuthSettings, BaseCtx } from "#http/surface";
import { type AppEnv, answerFault, surfaceApp } from "#http/surface-app";
import { VERSION } from "#http/version";
import { Fault } from "#kernel/fault";
import { MERGED, openApiDocument } from "./documents.ts";
import { surfaces } from "./surface-list.ts";

const HTML = "text/html; charset=UTF-8";

/** What a caller puts into a path by mistake must not be kept in a log (T10). */
const API_KEY = /wrn_[0-9a-f]{8,}/gi;

/**
 * The whole HTTP interface. `contextOf` makes what a request may use from its environment and id. Nothing is done here
 * beyond building routes; documents are rendered when they are first asked for.
 */
export function createApp(contextOf: (env: Env, requestId: string) => BaseCtx): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const [primary] = surfaces;
  if (!primary) throw new Error("no surface is served");

  addPreviews(app, contextOf);
  app.use(async (c, next) => {
    const startedAt = Date.now();
    const requestId = requestIdOf(c.req.raw, startedAt);
    const [known, settings] = [contextOf(c.env, requestId), settingsOf(c.env)];
    const base = { ...known, appUrl: known.appUrl || ownOrigin(c.req.raw, settings.origins) };
    c.set("base", base);
    c.set("settings", settings);
    c.set("answer", new Headers());
    await next();
    c.res = withStandardHeaders(c.res, c.req.raw, requestId);
    const { method, path } = c.req;
    base.log.info("request", {
      method,
      path: path.replace(API_KEY, "wrn_…"),
      status: c.res.status,
      ms: Date.now() - startedAt,
    });
  });
  addDocuments(app);
  for (const surface of surfaces) app.route("/", surfaceApp(surface));
  app.notFound((c) => answerFault(c, primary, new Fault("route_not_found", "no such route")));
  app.onError((error, c) => answerFault(c, primary, error));
  return app;
}

/** Ports of sandboxes have host names of their own, and nothing of the API is served there. */
function addPreviews(app: Hono<AppEnv>, contextOf: (env: Env, requestId: string) => BaseCtx): void {
  app.use(async (c, next) => {
    const startedAt = Date.now();
    const base = contextOf(c.env, requestIdOf(c.req.raw, startedAt));
    const preview = await servePreview(base, settingsOf(c.env), c.req.raw);
    if (!preview) return next();
    const { hostname: host } = new URL(c.req.url);
    base.log.info("preview", { method: c.req.method, host, status: preview.status, ms: Date.now() - startedAt });
    return preview;
  });
}

const settingsOf = (env: Env): AuthSettings => ({
  anonymous: env.RUNTIME_ANONYMOUS === "true",
  setupToken: env.SETUP_TOKEN || undefined,
  origins: (env.APP_ORIGINS ?? "").split(",").flatMap((text) => text.trim() || []),
  proxyHeader: env.TRUSTED_PROXY_HEADER || undefined,
});

/** Every document is rendered when it is first asked for, and kept for the life of the isolate. */
function addDocuments(app: Hono<AppEnv>): void {
  const serve = (path: string, media: string, render: () => string) => {
    let text: string | undefined;
    app.get(path, () => {
      text ??= render();
      return new Response(text, { headers: { "content-type": media, "cache-control": "no-cache" } });
    });
  };
  const json = (name: string) => () => JSON.stringify(openApiDocument(name));
  for (const { name } of surfaces) serve(`/openapi/${name}.json`, "application/json", json(name));
  serve("/openapi.json", "application/json", json(MERGED));
  serve("/openapi.yaml", "application/yaml", () =>
    stringify(openApiDocument(MERGED), { aliasDuplicateObjects: false }),
  );
  serve("/docs", HTML, () => String(docsPage(surfaces, VERSION)));
  serve("/", HTML, () => String(landingPage(surfaces)));
  for (const provider of PROVIDERS) {
    app.get(`/auth/${provider}/callback`, (c) => c.html(loginPage(c.req.query("error"))));
  }
}
