import type { Context, Hono } from "hono";
import type { z } from "zod";
import { type Ctx, demand } from "#domain/context";
import { authenticate } from "#http/authenticate";
import { demandOctets, readJson } from "#http/body";
import { idempotencyKeyOf, once } from "#http/idempotency";
import { type Operation, type RawRequest, Reply, takesJson } from "#http/operation";
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
  if (op.permission === null) return respond(op, await run(op, publicContext(base), c, await readInput(c, op)));
  const actor = await (surface.authenticate ?? authenticate)(base, c.req.raw, settings);
  // Before the body is looked at: a caller without permission learns nothing about the schema.
  demand(actor, op.permission);
  const ctx: Ctx = { ...base, actor };
  const input = await readInput(c, op);
  const key = op.creates ? idempotencyKeyOf(c.req.raw) : null;
  if (key === null) return respond(op, await run(op, ctx, c, input));
  const scope = `${c.req.method} ${c.req.path}`;
  const answer = await once(ctx, { key, scope, body: [input.query, input.body] }, async (once) =>
    toAnswer(op, await run(op, once, c, input)),
  );
  const response = toResponse(answer);
  if (answer.replayed) response.headers.set("idempotent-replayed", "true");
  return response;
}

type Parsed = { params: unknown; query: unknown; body: unknown };

const run = (op: Operation, ctx: Ctx, c: AppContext, input: Parsed): Promise<unknown> =>
  op.run(ctx, { ...input, raw: rawOf(c.req.raw) } as never);

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

type Answer = { status: number; body: unknown };

/** Through the schema: what the contract does not name is dropped, and no column slips across. */
function toAnswer(op: Operation, output: unknown): Answer {
  if (output instanceof Reply) return { status: output.status, body: op.returns.schema.parse(output.body) };
  return { status: op.returns.status, body: op.returns.schema.parse(output) };
}

const toResponse = ({ status, body }: Answer): Response =>
  status === 204 ? new Response(null, { status }) : Response.json(body, { status });

const respond = (op: Operation, output: unknown): Response =>
  output instanceof Response ? output : toResponse(toAnswer(op, output));
