import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { z } from "zod";
import { type Actor, NOBODY } from "#domain/actor";
import { type Ctx, demand } from "#domain/context";
import { addressOf, networkOf } from "#http/address";
import { authenticate } from "#http/authenticate";
import { demandHarmless, demandMedia, mediaOf, readJsonText } from "#http/body";
import { cookiesNamed } from "#http/cookies";
import { demandOrigin } from "#http/csrf";
import { idempotencyKeyOf, once } from "#http/idempotency";
import { FORM_MEDIA } from "#http/multipart";
import { answerSchema, JSON_MEDIA, OCTETS, type Operation, type RawRequest, takesJson } from "#http/operation";
import { enforceLimit } from "#http/rate-limit";
import { auditRefused } from "#http/refused";
import { routeOf, securitySchemesOf } from "#http/route";
import type { AuthSettings, BaseCtx, Surface } from "#http/surface";
import { Fault } from "#kernel/fault";

/** What the app puts on each request before the operations see it, and what a surface adds once it knows who asks. */
export type AppEnv = {
  Bindings: Env;
  Variables: {
    base: BaseCtx;
    settings: AuthSettings;
    /** Headers of the answer. */
    answer: Headers;
    /** Set once it is known who asks. */
    ctx: Ctx;
    /** What a form brought besides the body. */
    received: unknown;
    /** Set once a route was found. */
    op: Operation | undefined;
  };
};
type AppContext = Context<AppEnv>;
type Step = MiddlewareHandler<AppEnv>;

/**
 * The app of a surface: a route for every operation and, in its registry, what `http/openapi` tells of it. Operations
 * are registered as statements, never chained: a chained app's type grows with every route.
 */
export function surfaceApp(surface: Surface): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  app.onError((error, c) => answerFault(c, surface, error));
  for (const [name, scheme] of Object.entries(securitySchemesOf(surface))) {
    app.openAPIRegistry.registerComponent("securitySchemes", name, scheme);
  }
  for (const op of surface.operations) {
    // These run before the library's validators: a caller without permission learns nothing about the schema.
    const middleware = [admit(surface, op), ...(takesJson(op) ? [readBody(op)] : op.octets ? [demandOctets] : [])];
    app.openapi(
      { ...routeOf(surface, op), middleware },
      (c) => serve(c, op),
      op.discreet ? hushInvalid(op) : undefined,
    );
  }
  return app;
}

/** The surface's answer to a failure. Anything but a refusal is logged and told as `internal`, without its text. */
export function answerFault(c: AppContext, surface: Surface, error: unknown): Response {
  const fault = faultOf(error) ?? new Fault("internal", "something went wrong on our side");
  const { base, ctx, op } = c.var;
  if (fault.code === "internal") base.log.error("unhandled error", { error });
  if (ctx && op) auditRefused(ctx, { surface, op, params: c.req.param(), code: fault.code });
  const { status, body } = surface.fault(fault.code, fault.message, fault.details);
  return Response.json(body, { status, headers: c.var.answer });
}

/** The refusal that an error stands for; the library's own ones, as of malformed JSON, have a status alone. */
function faultOf(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error;
  if (!(error instanceof HTTPException) || error.status >= 500) return undefined;
  return new Fault(error.status === 415 ? "unsupported_media_type" : "invalid", error.message);
}

/** Finds out who asks, and demands the operation's permission. */
function admit(surface: Surface, op: Operation): Step {
  const { permission, accepts = surface.credentials } = op;
  return async (c, next) => {
    c.set("op", op);
    const { base, settings, answer } = c.var;
    if (permission === null) {
      // Else a page of a stranger could log its visitor in to the stranger's account.
      if (c.req.method !== "GET") demandOrigin(c.req.raw, settings.origins);
      c.set("ctx", { ...base, actor: NOBODY });
    } else {
      const identified = (actor: Actor) => c.set("ctx", { ...base, actor });
      const auth = { request: c.req.raw, settings, accepts, answer, identified };
      const actor = await (surface.authenticate ?? authenticate)(base, auth);
      identified(actor);
      if (op.upgrades && actor.kind !== "api_key") demandOrigin(c.req.raw, settings.origins);
      demand(actor, permission);
    }
    await next();
  };
}

/** Reads a JSON body with its limits; the library's validator then takes the text from Hono's cache and parses it. */
function readBody(op: Operation): Step {
  return async (c, next) => {
    const { req } = c;
    try {
      const text =
        op.receives && mediaOf(req.raw) === FORM_MEDIA ? await readAsForm(c, op.receives) : await readJson(c, op);
      if (op.discreet) JSON.parse(text);
      // Hono looks for a promise here, though its type says otherwise.
      req.bodyCache.text = Promise.resolve(text) as never;
    } catch (error) {
      if (op.discreet) return hushed(op);
      throw error;
    }
    await next();
  };
}

async function readJson({ req }: AppContext, op: Operation): Promise<string> {
  demandMedia(req.raw, JSON_MEDIA);
  return readJsonText(req.raw, op.bodyLimitBytes);
}

/** Afterwards the request looks like one with the JSON body that the form held. */
async function readAsForm(c: AppContext, receives: NonNullable<Operation["receives"]>): Promise<string> {
  const { text, received } = await receives(c.var.ctx, rawOf(c));
  demandHarmless(text);
  c.set("received", received);
  const { url, method, headers, signal } = c.req.raw;
  c.req.raw = new Request(url, { method, headers, signal });
  c.req.raw.headers.set("content-type", JSON_MEDIA);
  return text;
}

const hushed = (op: Operation) => new Response(null, { status: op.returns.status });

/** For a discreet operation: the answer to a body that its schema does not take is the answer to any other. */
const hushInvalid = (op: Operation) => (result: { success: boolean }) => (result.success ? undefined : hushed(op));

const demandOctets: Step = async ({ req }, next) => {
  demandMedia(req.raw, OCTETS);
  await next();
};

const PLACES: Record<string, string> = { param: "path", json: "body" };

/** What the library calls after each validation. */
function refuseInvalid(result: { target: string; success: boolean; error?: z.ZodError }): void {
  if (result.success) return;
  const place = PLACES[result.target] ?? result.target;
  const issues = (result.error?.issues ?? []).slice(0, 10).map(({ path, message }) => ({
    field: [place, ...path.map(String)].join("."),
    message,
  }));
  const [first] = issues;
  throw new Fault("invalid", first ? `${first.field}: ${first.message}` : `${place} is not valid`, { issues });
}

async function serve(c: AppContext, op: Operation): Promise<Response> {
  const input = inputOf(c, op);
  await limit(c, op, input);
  if (!op.creates) return withoutUnread(c, toResponse(await run(op, c.var.ctx, input), c.var.answer));
  const creating = create(c, op, input);
  // A client that goes away must leave neither half a thing nor a key that waits for its answer.
  c.executionCtx.waitUntil(creating.catch(() => {}));
  return creating;
}

async function limit(c: AppContext, { limit, limitSubject }: Operation, input: Input): Promise<void> {
  if (!limit) return;
  const subject = limitSubject?.({ ...input, actor: c.var.ctx.actor } as never);
  const { base, answer, settings } = c.var;
  const address = networkOf(addressOf(c.req.raw, settings.proxyHeader));
  await enforceLimit(base, limit, { address, subject, answer });
}

async function create(c: AppContext, op: Operation, input: Input): Promise<Response> {
  const { ctx, answer: headers } = c.var;
  const key = idempotencyKeyOf(c.req.header("idempotency-key"));
  if (key === null) return toResponse(await run(op, ctx, input), headers);
  const request = {
    key,
    scope: `${c.req.method} ${c.req.path}`,
    body: [input.query, input.body],
    secret: op.showsSecret,
  };
  const answer = await once(ctx, request, (seeded) => run(op, seeded, input));
  if (answer.replayed) headers.set("idempotent-replayed", "true");
  return toResponse(answer, headers);
}

type Input = { params: unknown; query: unknown; body: unknown; raw: RawRequest; headers: Headers };
type Answer = { status: number; body: unknown };

/** The validated parts of the request; the library has checked those that the route names. */
function inputOf(c: AppContext, op: Operation): Input {
  const valid = (part: string): unknown => c.req.valid(part as never);
  const body = takesJson(op) ? valid("json") : undefined;
  const [raw, headers] = [rawOf(c), c.var.answer];
  return { params: valid("param") ?? {}, query: valid("query") ?? {}, body, raw, headers };
}

/** The answer goes through its schema: what the contract does not name is dropped, and no column slips across. */
async function run(op: Operation, ctx: Ctx, { headers, ...input }: Input): Promise<Answer> {
  const outcome = { status: op.returns.status, headers };
  const output = await op.run(ctx, { ...input, outcome } as never);
  return { status: outcome.status, body: answerSchema(op, outcome.status).parse(output) };
}

/** Nobody reads the body of an answer to HEAD, so a stream would go on for ever. */
function withoutUnread(c: AppContext, response: Response): Response {
  if (c.req.raw.method !== "HEAD" || !response.body) return response;
  c.executionCtx.waitUntil(response.body.cancel());
  return new Response(null, response);
}

function toResponse({ status, body }: Answer, headers: Headers): Response {
  if (body instanceof Response) {
    for (const [name, value] of headers) body.headers.append(name, value);
    return body;
  }
  return status === 204 || status === 302
    ? new Response(null, { status, headers })
    : Response.json(body, { status, headers });
}

function rawOf(c: AppContext): RawRequest {
  const request = c.req.raw;
  return {
    url: request.url,
    address: addressOf(request, c.var.settings.proxyHeader) ?? "",
    cookies: (name) => cookiesNamed(request, name),
    header: (name) => request.headers.get(name) ?? undefined,
    stream: () => (request.body ?? new Response("").body) as ReadableStream<Uint8Array>,
    received: c.var.received,
    signal: request.signal,
  };
}
