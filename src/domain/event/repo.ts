import { and, asc, eq, gt, lt } from "drizzle-orm";
import type { Db, Statement } from "#domain/context";
import { teamEvents } from "#schema";

export type TeamEventRow = typeof teamEvents.$inferSelect;

/** Rows of a team's events, or of everybody's, in the order of their commits. */
export function listTeamEvents(db: Db, teamId: string | null, after: number, limit: number): Promise<TeamEventRow[]> {
  const newer = gt(teamEvents.seq, after);
  return db
    .select()
    .from(teamEvents)
    .where(teamId === null ? newer : and(eq(teamEvents.teamId, teamId), newer))
    .orderBy(asc(teamEvents.seq))
    .limit(limit);
}

export function deleteEventsBefore(db: Db, time: number): Statement {
  return db.delete(teamEvents).where(lt(teamEvents.createdAt, time));
}
