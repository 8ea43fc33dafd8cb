import { createRoute, type RouteConfig } from "@hono/zod-openapi";
import type { z } from "zod";
import { schemesOf } from "#http/credentials";
import { IDEMPOTENCY_PARAMETER } from "#http/idempotency";
import { FORM_MEDIA } from "#http/multipart";
import { JSON_MEDIA, OCTETS, type Operation, takesJson } from "#http/operation";
import type { Surface } from "#http/surface";
import { FAULTS, type FaultCode } from "#kernel/fault";

type Request = NonNullable<RouteConfig["request"]>;
type Content = NonNullable<Exclude<RouteConfig["responses"][string], { $ref: string }>["content"]>;

const BINARY = { type: "string", format: "binary" } as const;

/** Every scheme that some operation of the surface takes, by name. */
export const securitySchemesOf = (surface: Surface) =>
  Object.fromEntries(surface.operations.flatMap((op) => schemesOf(op.accepts ?? surface.credentials)));

/** An operation as the library's route: what is validated on the way in, and all that the document tells. */
export function routeOf(surface: Surface, op: Operation): RouteConfig {
  const schemes = schemesOf(op.accepts ?? surface.credentials);
  return createRoute({
    operationId: op.id,
    method: op.method,
    path: op.path,
    tags: [op.tag],
    summary: op.summary,
    ...(op.description && { description: op.description }),
    ...(op.permission !== null && { "x-permission": op.permission }),
    security: op.permission === null ? [] : schemes.map(([name]) => ({ [name]: [] })),
    ...((op.creates || op.honoursKey) && { parameters: [IDEMPOTENCY_PARAMETER] }),
    request: requestOf(op),
    responses: responsesOf(surface, op),
  });
}

function requestOf(op: Operation): Request {
  const body = bodyOf(op);
  return {
    ...(hasFields(op.params) && { params: op.params }),
    ...(hasFields(op.query) && { query: op.query }),
    // `required`, always: without it an empty request reaches the handler as an unvalidated `{}`.
    ...(body && { body: { required: true, content: body } }),
  };
}

function bodyOf(op: Operation): Content | undefined {
  if (takesJson(op)) return { ...json(op.body), ...formOf(op) };
  return op.octets ? { [OCTETS]: { schema: BINARY } } : formOf(op);
}

function formOf(op: Operation): Content | undefined {
  if (!op.form) return undefined;
  const properties = Object.fromEntries(
    Object.entries(op.form).map(([name, { type, description }]) => [
      name,
      { ...(type === "file" ? BINARY : { type: "string" as const }), description },
    ]),
  );
  const required = Object.keys(op.form).filter((name) => !op.form?.[name]?.optional);
  // Not a zod schema, or the library would read the whole form into memory to check it.
  return { [FORM_MEDIA]: { schema: { type: "object", required, properties } } };
}

function responsesOf(surface: Surface, op: Operation): RouteConfig["responses"] {
  const content = contentOf(op);
  const success = (text: string) => ({ description: text, ...(content && { content }) });
  const failure = (text: string) => ({ description: text, content: json(surface.faultBody) });
  const { status, description = op.summary } = op.returns;
  return {
    [status]: success(description),
    ...Object.fromEntries(
      op.also.map((one) => [
        one.status,
        one.schema ? { description: one.description, content: json(one.schema) } : success(one.description),
      ]),
    ),
    ...Object.fromEntries(failuresOf(surface, op).map(([at, text]) => [at, failure(text)])),
    default: failure("any other failure"),
  };
}

function contentOf({ returns }: Operation): Content | undefined {
  const { status, schema, media, shows } = returns;
  if (status === 101 || status === 204 || status === 302) return undefined;
  if (media === undefined) return json(schema);
  return { [media]: { schema: shows ?? (media === OCTETS ? BINARY : { type: "string" }) } };
}

/** What the operation may answer instead, in words, by the surface's statuses. */
function failuresOf(surface: Surface, op: Operation): [status: number, description: string][] {
  const byStatus = Map.groupBy(new Set([...impliedFaults(op), ...op.faults]), (code) => surface.fault(code, "").status);
  return [...byStatus].map(([status, some]) => [status, some.map(words).join(", ")]);
}

/** What can go wrong before an operation's own work begins. */
const impliedFaults = (op: Operation): FaultCode[] => [
  ...(op.permission === null ? [] : (["invalid", "unauthenticated", "forbidden", "internal"] as const)),
  ...(op.upgrades || (op.permission === null && op.method !== "get") ? (["csrf_failed"] as const) : []),
  ...(takesJson(op) && !op.discreet ? (["invalid", "too_large", "unsupported_media_type"] as const) : []),
  ...(op.octets || op.form ? (["unsupported_media_type"] as const) : []),
  ...(op.limit ? (["rate_limited"] as const) : []),
  ...(op.creates ? (["idempotency_running"] as const) : []),
  ...(op.creates || op.honoursKey ? (["idempotency_mismatch"] as const) : []),
];

const words = (code: FaultCode) => code.replaceAll("_", " ") + (FAULTS[code].retryable ? " (may be retried)" : "");
const json = (schema: z.ZodType) => ({ [JSON_MEDIA]: { schema } });
const hasFields = (schema: z.ZodObject) => Object.keys(schema.shape).length > 0;
