import type { Context, Hono } from "hono";
import type { z } from "zod";
import { type Ctx, demand } from "#domain/context";
import { authenticate } from "#http/authenticate";
import { demandOctets, readJson } from "#http/body";
import { idempotencyKeyOf, once } from "#http/idempotency";
import { type Operation, type RawRequest, takesJson } from "#http/operation";
import type { AuthSettings, BaseCtx, Surface } from "#http/surface";
import { Fault } from "#kernel/fault";

/** What the app puts on each request before the operations see it. */
export type AppEnv = { Bindings: Env; Variables: { base: BaseCtx; settings: AuthSettings } };
type AppContext = Context<AppEnv>;

/** Registers every operation of a surface. Paths with fixed segments come before those with parameters. */
export function mount(app: Hono<AppEnv>, surface: Surface): void {
  for (const op of surface.operations) {
    const path = op.path.replaceAll(/\{(\w+)\}/g, ":$1");
    app.on(op.method.toUpperCase(), path, async (c) => {
      try {
        return await serve(c, surface, op);
      } catch (error) {
        return answerFault(c, surface, error);
      }
    });
  }
}

/** The surface's answer to a failure. Anything but a `Fault` is logged and told as `internal`, without its text. */
export function answerFault(c: AppContext, surface: Surface, error: unknown): Response {
  const fault = error instanceof Fault ? error : new Fault("internal", "something went wrong on our side");
  if (fault !== error) c.var.base.log.error("unhandled error", { error });
  const { status, body } = surface.fault(fault.code, fault.message, fault.details);
  return Response.json(body, { status });
}

async function serve(c: AppContext, surface: Surface, op: Operation): Promise<Response> {
  const { base, settings } = c.var;
  if (op.permission === null) return toResponse(await run(op, publicContext(base), c, await readInput(c, op)));
  const actor = await (surface.authenticate ?? authenticate)(base, c.req.raw, settings);
  // Before the body is looked at: a caller without permission learns nothing about the schema.
  demand(actor, op.permission);
  const ctx: Ctx = { ...base, actor };
  const input = await readInput(c, op);
  const key = op.creates ? idempotencyKeyOf(c.req.header("idempotency-key")) : null;
  if (key === null) return toResponse(await run(op, ctx, c, input));
  const request = { key, scope: `${c.req.method} ${c.req.path}`, body: [input.query, input.body] };
  const answer = await once(ctx, request, (seeded) => run(op, seeded, c, input));
  const response = toResponse(answer);
  if (answer.replayed) response.headers.set("idempotent-replayed", "true");
  return response;
}

type Parsed = { params: unknown; query: unknown; body: unknown };
type Answer = { status: number; body: unknown };

/** The answer goes through its schema: what the contract does not name is dropped, and no column slips across. */
async function run(op: Operation, ctx: Ctx, c: AppContext, input: Parsed): Promise<Answer> {
  const outcome = { status: op.returns.status };
  const output = await op.run(ctx, { ...input, raw: rawOf(c.req.raw), outcome } as never);
  return { status: outcome.status, body: op.returns.schema.parse(output) };
}

function toResponse({ status, body }: Answer): Response {
  if (body instanceof Response) return body;
  return status === 204 ? new Response(null, { status }) : Response.json(body, { status });
}

function publicContext(base: BaseCtx): Ctx {
  const nobody = { id: "anonymous", teamId: "", userId: null, role: null, platformAdmin: false, credentialId: null };
  return { ...base, actor: { ...nobody, kind: "anonymous", subject: "anonymous" } };
}

async function readInput(c: AppContext, op: Operation): Promise<Parsed> {
  const params = check(op.params, c.req.param(), "path");
  const query = check(op.query, c.req.query(), "query");
  if (op.octets) demandOctets(c.req.raw);
  const body = takesJson(op) ? check(op.body, await readJson(c.req.raw, op.bodyLimitBytes), "body") : undefined;
  return { params, query, body };
}

function check(schema: z.ZodType, value: unknown, place: string): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 10).map(({ path, message }) => ({
    field: [place, ...path.map(String)].join("."),
    message,
  }));
  const [first] = issues;
  throw new Fault("invalid", first ? `${first.field}: ${first.message}` : `${place} is not valid`, { issues });
}

function rawOf(request: Request): RawRequest {
  return {
    header: (name) => request.headers.get(name) ?? undefined,
    stream: () => (request.body ?? new Response("").body) as ReadableStream<Uint8Array>,
    signal: request.signal,
  };
}
