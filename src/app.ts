import { Hono } from "hono";
import { docsPage, landingPage } from "#http/docs";
import { withStandardHeaders } from "#http/headers";
import { type AppEnv, answerFault, mount } from "#http/mount";
import { requestIdOf } from "#http/request-id";
import type { BaseCtx } from "#http/surface";
import { Fault } from "#kernel/fault";
import { MERGED, openApiDocument } from "./documents.ts";
import { API_VERSION, surfaces } from "./surface-list.ts";

/**
 * The whole HTTP interface. `contextOf` makes what a request may use from its environment and id. Nothing is done here
 * beyond building routes; documents are rendered when they are first asked for.
 */
export function createApp(contextOf: (env: Env, requestId: string) => BaseCtx): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  const [primary] = surfaces;
  if (!primary) throw new Error("no surface is served");

  app.use(async (c, next) => {
    const startedAt = Date.now();
    const requestId = requestIdOf(c.req.raw, startedAt);
    const base = contextOf(c.env, requestId);
    c.set("base", base);
    c.set("settings", { anonymous: c.env.RUNTIME_ANONYMOUS === "true", setupToken: c.env.SETUP_TOKEN || undefined });
    await next();
    c.res = withStandardHeaders(c.res, c.req.raw, requestId);
    const { method, path } = c.req;
    base.log.info("request", { method, path, status: c.res.status, ms: Date.now() - startedAt });
  });
  addDocuments(app);
  for (const surface of surfaces) mount(app, surface);
  app.notFound((c) => answerFault(c, primary, new Fault("route_not_found", "no such route")));
  app.onError((error, c) => answerFault(c, primary, error));
  return app;
}

function addDocuments(app: Hono<AppEnv>): void {
  const rendered = new Map<string, string>();
  const document = (name: string) => {
    const text = rendered.get(name) ?? JSON.stringify(openApiDocument(name));
    rendered.set(name, text);
    return new Response(text, { headers: { "content-type": "application/json", "cache-control": "no-cache" } });
  };
  for (const { name } of surfaces) app.get(`/openapi/${name}.json`, () => document(name));
  app.get("/openapi.json", () => document(MERGED));
  app.get("/docs", (c) => c.html(docsPage(surfaces, API_VERSION)));
  app.get("/", (c) => c.html(landingPage(surfaces)));
}
