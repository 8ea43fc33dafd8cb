import { z } from "zod";
import { OCTETS, type Operation, takesJson } from "#http/operation";
import { DEFAULT } from "#http/query";
import type { Surface } from "#http/surface";
import { FAULTS, type FaultCode } from "#kernel/fault";

type Json = Record<string, unknown>;
type Components = Map<string, Json>;

/** Every authenticated operation may also answer these. */
const COMMON_FAULTS: readonly FaultCode[] = ["invalid", "unauthenticated", "forbidden", "internal"];

const USUAL_SECURITY = [{ apiKey: [] }, { bearer: [] }];
const USUAL_SCHEMES = {
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
  bearer: { type: "http", scheme: "bearer", description: "An API key, or a token where a surface issues them." },
};

/** The OpenAPI 3.1 document of a surface, paths as served. Nothing but the operation list goes into it. */
export function documentOf(surface: Surface, version: string): Json {
  const components: Components = new Map();
  const paths: Record<string, Json> = {};
  for (const op of surface.operations) {
    paths[op.path] ??= {};
    (paths[op.path] as Json)[op.method] = describe(surface, op, components);
  }
  const own = surface.credential;
  const schemes = own ? { [own.name]: { type: "apiKey", in: "header", name: own.header } } : USUAL_SCHEMES;
  return {
    openapi: "3.1.0",
    info: { title: surface.title, version, description: surface.description },
    servers: [{ url: "/" }],
    tags: [...new Set(surface.operations.map((op) => op.tag))].map((name) => ({ name })),
    paths,
    components: { schemas: Object.fromEntries([...components].sort()), securitySchemes: schemes },
  };
}

/** All surfaces in one document; tags, schemas and operation ids carry the surface's name where they could clash. */
export function mergedDocument(surfaces: readonly Surface[], version: string): Json {
  const merged: Json = { openapi: "3.1.0", info: { title: "Longshore", version }, servers: [{ url: "/" }] };
  const paths: Record<string, Json> = {};
  const parts: Record<"schemas" | "securitySchemes", Json> = { schemas: {}, securitySchemes: {} };
  for (const surface of surfaces) {
    const text = JSON.stringify(documentOf(surface, version));
    const named = text.replaceAll('"#/components/schemas/', `"#/components/schemas/${surface.name}.`);
    const document = JSON.parse(named) as { paths: Record<string, Record<string, Json>>; components: typeof parts };
    for (const [path, item] of Object.entries(document.paths)) {
      for (const op of Object.values(item)) {
        op.operationId = `${surface.name}.${op.operationId}`;
        op.tags = [surface.name];
      }
      paths[path] = { ...item, ...paths[path] };
    }
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      parts.schemas[`${surface.name}.${name}`] = schema;
    }
    Object.assign(parts.securitySchemes, document.components.securitySchemes);
  }
  return { ...merged, tags: surfaces.map(({ name }) => ({ name })), paths, components: parts };
}

function describe(surface: Surface, op: Operation, components: Components): Json {
  const schemaOf = (schema: z.ZodType, io: "input" | "output") => toSchema(schema, io, components);
  const parameters = [
    ...parametersOf(op.params, "path", schemaOf),
    ...parametersOf(op.query, "query", schemaOf),
    ...(op.creates ? [IDEMPOTENCY_PARAMETER] : []),
  ];
  const security = surface.credential ? [{ [surface.credential.name]: [] }] : USUAL_SECURITY;
  return {
    operationId: op.id,
    summary: op.summary,
    ...(op.description && { description: op.description }),
    tags: [op.tag],
    security: op.permission === null ? [] : security,
    ...(op.permission !== null && { "x-permission": op.permission }),
    ...(parameters.length > 0 && { parameters }),
    ...(takesJson(op) && { requestBody: { required: true, content: jsonContent(schemaOf(op.body, "input")) } }),
    ...(op.octets && { requestBody: { required: true, content: { [OCTETS]: { schema: BINARY } } } }),
    responses: responsesOf(surface, op, schemaOf),
  };
}

const BINARY = { type: "string", format: "binary" };
const IDEMPOTENCY_PARAMETER = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "Makes a repeat of this request answer what the first one answered.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};
const jsonContent = (schema: Json) => ({ "application/json": { schema } });

type SchemaOf = (schema: z.ZodType, io: "input" | "output") => Json;

function parametersOf(schema: z.ZodObject, place: "path" | "query", schemaOf: SchemaOf): Json[] {
  const { properties = {}, required = [] } = schemaOf(schema, "input") as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }));
}

function responsesOf(surface: Surface, op: Operation, schemaOf: SchemaOf): Json {
  const { status, schema, media, description } = op.returns;
  const content =
    status === 204
      ? undefined
      : media
        ? { [media]: { schema: media === OCTETS ? BINARY : { type: "string" } } }
        : jsonContent(schemaOf(schema, "output"));
  const success = (text: string) => ({ description: text, ...(content && { content }) });
  const codes = new Map<number, FaultCode[]>();
  const faults = op.permission === null ? op.faults : [...COMMON_FAULTS, ...op.faults];
  for (const code of new Set(faults)) {
    const at = surface.fault(code, "").status;
    codes.set(at, [...(codes.get(at) ?? []), code]);
  }
  const failure = (text: string) => ({
    description: text,
    content: jsonContent(schemaOf(surface.faultBody, "output")),
  });
  return {
    [status]: success(description ?? op.summary),
    ...Object.fromEntries(op.also.map((one) => [one.status, success(one.description)])),
    ...Object.fromEntries([...codes].map(([at, list]) => [at, failure(list.map((code) => words(code)).join(", "))])),
    default: failure("any other failure"),
  };
}

const words = (code: FaultCode) => code.replaceAll("_", " ") + (FAULTS[code].retryable ? " (may be retried)" : "");

/** JSON Schema of a zod schema; named ones move to the components, where input and output share a name. */
function toSchema(schema: z.ZodType, io: "input" | "output", components: Components): Json {
  const converted = z.toJSONSchema(schema, { io, unrepresentable: "any", override: tidy }) as Json & { $defs?: Json };
  const { $schema: _, $defs = {}, ...rest } = converted;
  const pointed = (value: unknown) =>
    JSON.parse(JSON.stringify(value), (key, item) =>
      key === "$ref" && typeof item === "string" ? item.replace("#/$defs/", "#/components/schemas/") : item,
    );
  for (const [name, definition] of Object.entries($defs)) {
    const { id: _id, ...body } = pointed(definition) as Json;
    components.set(name, body);
  }
  return pointed(rest) as Json;
}

/** Unknown fields are tolerated everywhere. The rest only repeats the type: the pattern of a date-time, and bounds that are just those of a safe integer. */
function tidy({ jsonSchema }: { jsonSchema: Json }): void {
  if (DEFAULT in jsonSchema) {
    jsonSchema.default = jsonSchema[DEFAULT];
    delete jsonSchema[DEFAULT];
  }
  if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
}
