import type { Ctx, Statement } from "#domain/context";
import type { EventReason, TeamEvent } from "#protocol/team-feed";
import { teamEvents } from "#schema";

type EmitCtx = Pick<Ctx, "db" | "newId">;
/** An event as it is emitted: `metadata.reason` is one of a closed list. */
export type NewTeamEvent = Reasoned<TeamEvent>;
type Reasoned<T> = T extends TeamEvent
  ? Omit<T, "metadata"> & { metadata: Record<string, string> & { reason?: EventReason } }
  : never;

/**
 * The row of something that happened, to be committed in the same batch as the change itself. The log takes it up by
 * `announce`. A repeat under the same ids leaves one row.
 */
export function emit(ctx: EmitCtx, event: NewTeamEvent): Statement {
  const { teamId, type, at } = event;
  const row = { id: ctx.newId("event"), teamId, type, payload: event, createdAt: at };
  return ctx.db.insert(teamEvents).values(row).onConflictDoNothing();
}
