import { env, exports } from "cloudflare:workers";
import type { Actor, Role } from "#domain/actor";
import { type Ctx, commit } from "#domain/context";
import { issueApiKey } from "#domain/principal/issue-api-key";
import { insertMembership, insertTeam, insertUser } from "#domain/principal/repo";
import { keyPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";
import { newId } from "#kernel/id";
import { contextOf } from "#platform/context";

// biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
export type Answer = { status: number; headers: Headers; body: any; text: string };
export type Tenant = Awaited<ReturnType<typeof tenant>>;

const ORIGIN = "http://longshore.test";
type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Sends a request to the whole Worker. A string body is sent as it is. */
export async function request(
  method: string,
  path: string,
  options: { body?: unknown; headers?: Record<string, string>; origin?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  const { body, headers = {}, origin = ORIGIN, signal } = options;
  const raw = typeof body === "string" || body instanceof ReadableStream || body instanceof Uint8Array;
  return exports.default.fetch(
    new Request(`${origin}${path}`, {
      method,
      redirect: "manual",
      headers: { ...(body !== undefined && !raw && { "content-type": "application/json" }), ...headers },
      ...(signal && { signal }),
      ...(body !== undefined && { body: raw ? (body as string) : JSON.stringify(body) }),
    }),
  );
}

export async function call(...args: Parameters<typeof request>): Promise<Answer> {
  const response = await request(...args);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : undefined, text };
}

/** A context that acts for `actor`, as a verb gets it. */
export const contextFor = (actor: Actor): Ctx => ({ ...contextOf(env, "test"), actor });

/** A fresh team with one user and an API key of that user's, who has `role` in it. */
export async function tenant(role: Role = "owner") {
  const now = Date.now();
  const [userId, teamId] = [newId("user", now), newId("team", now)];
  const subject = `user:${userId}`;
  const actor: Actor = {
    ...{
      kind: "user",
      id: userId,
      name: "Test",
      teamId,
      userId,
      role,
      platformAdmin: false,
      credentialId: null,
      subject,
    },
    principal: userId,
  } as Actor;
  const ctx = contextFor(actor);
  const times = { createdAt: now, updatedAt: now };
  await commit(
    ctx.db,
    insertUser(ctx.db, { id: userId, email: `${userId}@example.test`, status: "active", ...times }),
    insertTeam(ctx.db, { id: teamId, name: "Team", slug: teamId, ...times }),
    insertMembership(ctx.db, { teamId, userId, role, createdAt: now }),
  );
  const { id: keyId, key } = await issueApiKey(ctx, { teamId, userId, name: "test" });
  const send = (method: Method, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    call(method, path, { body, headers: { "x-api-key": key, ...headers } });
  return {
    userId,
    teamId,
    keyId,
    key,
    /** Name of the key's principal. */
    principal: keyPrincipal(await sha256(key)),
    ctx,
    call: send,
    /** A new workspace, through the API. */
    workspace: async (): Promise<string> =>
      (await send("POST", "/api/v1/workspaces", { name: "work", runtime: "base" })).body.id,
    /** A new session in a new workspace, through the API. */
    session: async (workspaceId?: string): Promise<string> => {
      const id = workspaceId ?? (await send("POST", "/api/v1/workspaces", { name: "w", runtime: "base" })).body.id;
      return (await send("POST", `/api/v1/workspaces/${id}/sessions`, {})).body.id;
    },
  };
}

/** One row of D1 by the value of a column. */
export async function rowOf(table: string, value: string, column = "id"): Promise<Record<string, unknown> | null> {
  return env.DB.prepare(`SELECT * FROM ${table} WHERE ${column} = ?`).bind(value).first();
}

export async function countOf(table: string, where: string, ...values: unknown[]): Promise<number> {
  const row = await env.DB.prepare(`SELECT COUNT(*) AS n FROM ${table} WHERE ${where}`)
    .bind(...values)
    .first<{ n: number }>();
  return row?.n ?? 0;
}
