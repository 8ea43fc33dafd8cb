import { z } from "zod";
import type { AuditAction } from "#domain/audit/audit";
import type { Actor, Ctx, Permission } from "#domain/context";
import type { CredentialKind } from "#http/credentials";
import type { RateLimit } from "#http/rate-limit";
import type { FaultCode } from "#kernel/fault";

export const JSON_MEDIA = "application/json";
export const OCTETS = "application/octet-stream";
const JSON_BODY_LIMIT_BYTES = 1024 * 1024;

/** What an operation may look at beside its parsed input. */
export type RawRequest = {
  url: string;
  /** Where the request comes from, as far as that can be believed; empty where nobody tells. */
  address: string;
  /** Every value sent for a cookie. */
  cookies(name: string): string[];
  header(name: string): string | undefined;
  /** The body of an operation that takes `OCTETS`, unread; an empty stream when none was sent. */
  stream(): ReadableStream<Uint8Array>;
  /** What a form brought besides the body; see `receives`. */
  received: unknown;
  /** Aborted when the client is gone, where the platform tells. */
  signal: AbortSignal;
};

/** The answer beside its body: `run` may set a status that is declared in `also`, and add headers. */
export type Outcome = { status: number; headers: Headers };

type SuccessStatus = 101 | 200 | 201 | 202 | 204 | 302;
type Returns<R extends z.ZodType> = {
  status: SuccessStatus;
  schema: R;
  /** Media type of an answer that is not JSON; its schema is `RawAnswer`. */
  media?: string;
  /** What a document says of an answer that `run` makes itself; a string by default. */
  shows?: z.ZodType;
  description?: string;
};

type Spec<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
  A extends z.ZodType = z.ZodNever,
> = {
  /** Operation id, unique in its surface. */
  id: string;
  method: "get" | "post" | "put" | "patch" | "delete";
  /** Path as served, parameters in braces. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  /** What the caller must hold; null makes the operation public. */
  permission: Permission | null;
  /** The audit action of its success, under which a refused attempt is noted too; by default one of its own name. */
  audits?: AuditAction;
  /** Kinds of credential it takes; by default those of its surface. */
  accepts?: readonly CredentialKind[];
  limit?: RateLimit;
  /** What the limit's `perSubject` counts by; undefined when the request names nothing. */
  limitSubject?: (input: { params: z.output<P>; body: z.output<B>; actor: Actor }) => string | undefined;
  params: P;
  query: Q;
  body: B;
  /** Takes raw bytes instead of a JSON body; they are streamed and have no limit here. */
  octets: boolean;
  /**
   * The fields of an operation that takes `multipart/form-data`, all required, as its document shows them. `run` reads
   * the form by `readForm(raw, …)`, as a stream.
   */
  form: Record<string, FormField> | null;
  /** Reads a form that comes in place of the JSON body; `form` describes it. `run` finds what else came in `raw.received`. */
  receives?: (ctx: Ctx, raw: RawRequest) => Promise<Received>;
  bodyLimitBytes: number;
  /** True when a body that is not valid is answered like one that is, and nothing is done (platform R76). */
  discreet: boolean;
  /**
   * True when the operation makes something: an `Idempotency-Key` makes it repeatable (`http/idempotency`), and what has
   * begun is finished although the client goes away.
   */
  creates: boolean;
  /** True when the answer shows a secret: what is kept of it for a repeat is then sealed. */
  showsSecret: boolean;
  /** True when it opens a WebSocket: a browser sends one from any page, so a session then needs an allowed origin. */
  upgrades: boolean;
  /** True when `run` heeds an `Idempotency-Key` itself, in the transaction that stores its effect. */
  honoursKey: boolean;
  returns: Returns<R>;
  /** Further statuses, with the same schema unless they have one of their own. */
  also: readonly { status: number; description: string; schema?: A }[];
  faults: readonly FaultCode[];
  run: (
    ctx: Ctx,
    input: { params: z.output<P>; query: z.output<Q>; body: z.output<B>; raw: RawRequest; outcome: Outcome },
  ) => Promise<z.input<R> | z.input<A>>;
};

/** One endpoint as data. Its generics are erased here, so that hundreds cost the type checker nothing together. */
export type Operation = Omit<
  Spec<z.ZodObject, z.ZodObject, z.ZodType, z.ZodType, z.ZodType>,
  "run" | "limitSubject"
> & {
  limitSubject?: (input: never) => string | undefined;
  run: (ctx: Ctx, input: never) => Promise<unknown>;
};

/** One field of a form. */
export type FormField = { type: "text" | "file"; description: string; optional?: true };

/** What came in a form in place of a JSON body: the text of that body, and what else there was. */
export type Received = { text: string; received: unknown };

const nothing = z.object({});
type Defaults =
  | "params"
  | "query"
  | "body"
  | "octets"
  | "form"
  | "bodyLimitBytes"
  | "discreet"
  | "creates"
  | "showsSecret"
  | "upgrades"
  | "honoursKey"
  | "also";

/**
 * Describes an endpoint. Router, OpenAPI document, permission table and contract tests all read the same value.
 * Fields that a schema does not name are dropped, in bodies as in answers.
 */
export function operation<
  R extends z.ZodType,
  P extends z.ZodType = typeof nothing,
  Q extends z.ZodType = typeof nothing,
  B extends z.ZodType = z.ZodUndefined,
  A extends z.ZodType = z.ZodNever,
>(spec: Omit<Spec<P, Q, B, R, A>, Defaults> & Partial<Pick<Spec<P, Q, B, R, A>, Defaults>>): Operation {
  const defaults = {
    params: nothing,
    query: nothing,
    body: z.undefined(),
    octets: false,
    form: null,
    bodyLimitBytes: JSON_BODY_LIMIT_BYTES,
    discreet: false,
    creates: false,
    showsSecret: false,
    upgrades: false,
    honoursKey: false,
    also: [],
  };
  return { ...defaults, ...spec } as unknown as Operation;
}

/** No answer body. */
export const Empty = z.undefined();
/** An answer that `run` makes itself, such as a stream. */
export const RawAnswer = z.custom<Response>((value) => value instanceof Response);

/** The schema of an answer with a status that the operation declares. */
export const answerSchema = ({ returns, also }: Operation, status: number): z.ZodType =>
  also.find((one) => one.status === status)?.schema ?? returns.schema;

export const takesJson = (op: Operation): boolean => !(op.body instanceof z.ZodUndefined);
