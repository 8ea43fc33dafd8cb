import type { z } from "zod";
import type { AuditAction } from "#domain/audit/audit";
import type { Ctx } from "#domain/context";
import { asAdminOf } from "#domain/sandbox/as-admin";
import type { Operation } from "#http/operation";
import type { SocketSpec } from "#http/upgrade";

type Run = (ctx: Ctx, input: { params: { id: string } }) => Promise<unknown>;

/** What the twin of an operation differs in. With `audits` the team's log tells of each use (R410). */
export type Twin = { id: string; summary: string; audits?: AuditAction };

/** The path of a capsule's operation for administrators. */
export const adminPath = (path: string): string => path.replace(/^\/v1\//, "/v1/admin/");

/**
 * The twin of an operation on a capsule (parameter `id`) for administrators of the platform, which works on any team's
 * (R409): the same in everything but who may use it.
 */
export function adminTwin(op: Operation, { id, summary, audits }: Twin): Operation {
  const run = op.run as Run;
  return {
    ...op,
    id,
    summary,
    path: adminPath(op.path),
    tag: "admin",
    permission: "platform:admin",
    accepts: ["session"],
    ...(audits && { audits }),
    run: async (ctx: Ctx, input: Parameters<Run>[1]) => run(await asAdminOf(ctx, input.params.id, audits), input),
  };
}

/** The same for an operation that opens a WebSocket. */
export function adminSocketTwin<P extends z.ZodObject<{ id: z.ZodString }>>(
  spec: SocketSpec<P>,
  { audits, ...twin }: Twin,
): SocketSpec<P> {
  return {
    ...spec,
    ...twin,
    path: adminPath(spec.path),
    tag: "admin",
    permission: "platform:admin",
    accepts: ["session"],
    ...(audits && { audits }),
    open: async (ctx, input) => spec.open(await asAdminOf(ctx, (input.params as { id: string }).id, audits), input),
  };
}
