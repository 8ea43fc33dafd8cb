import type { Actor } from "#domain/actor";
import type { Ctx, Statement } from "#domain/context";
import type { EventReason, TeamEvent } from "#protocol/team-feed";
import { teamEvents } from "#schema";

type EmitCtx = Pick<Ctx, "db" | "newId">;
/** `metadata.reason` is one of a closed list. */
type Reasoned<T> = T extends TeamEvent
  ? Omit<T, "metadata"> & { metadata: Record<string, string> & { reason?: EventReason } }
  : never;

/**
 * The row of something that happened, to be committed in the same batch as the change itself. The log takes it up by
 * `announce`. A repeat under the same ids leaves one row.
 */
export function emit(ctx: EmitCtx, event: Reasoned<TeamEvent>): Statement {
  const { teamId, type, at } = event;
  const row = { id: ctx.newId("event"), teamId, type, payload: event, createdAt: at };
  return ctx.db.insert(teamEvents).values(row).onConflictDoNothing();
}

/** How an event names who did it: people and their keys as themselves, and everything else as the system (R370). */
export function eventActor({ kind, id, name }: Pick<Actor, "kind" | "id" | "name">): TeamEvent["actor"] {
  if (kind === "api_key") return { type: "api_key", id, name };
  return { type: kind === "user" || kind === "anonymous" ? "user" : "system", id, name };
}
