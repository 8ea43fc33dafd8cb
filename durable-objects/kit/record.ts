import { drizzle } from "drizzle-orm/d1";
import { type Actor, systemActor } from "#domain/actor";
import { type AuditAction, audit, auditRefusal } from "#domain/audit/audit";
import { commit } from "#domain/context";
import { announce } from "#domain/event/announce";
import { emit, type NewTeamEvent } from "#domain/event/emit";
import { sha256 } from "#kernel/digest";
import { type IdKind, makeId } from "#kernel/id";
import { createLog } from "#kernel/log";
import { teamPort } from "#platform/event/port";

/** The object that made the change. */
type Self = { ctx: Pick<DurableObjectState, "waitUntil">; env: Pick<Env, "DB" | "TEAM" | "LOG_LEVEL"> };

type Entry = {
  /** Null for what concerns the platform alone. */
  teamId: string | null;
  /** Null when the change is audited elsewhere. */
  action: AuditAction | null;
  subjectId: string;
  at: number;
  metadata?: Record<string, unknown>;
  /** True for what was tried and did not work. */
  failed?: boolean;
  /** Who asked for it, in which request; the system by default. */
  by?: Pick<Actor, "kind" | "id" | "name" | "credentialId"> & { requestId: string };
  event?: NewTeamEvent;
};

/**
 * Writes the audit entry and the event of a change that an object made, and announces the event. `effectId` names
 * the effect that does so, within the object; the rows' ids follow from it, so a repeated effect leaves one of each.
 */
export async function recordChange({ ctx: object, env }: Self, effectId: string, entry: Entry): Promise<void> {
  const { teamId, action, subjectId, at, metadata, failed = false, by, event } = entry;
  const digest = await sha256(`${subjectId}:${effectId}`);
  const random = Uint8Array.from(digest.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const newId = (kind: IdKind) => makeId(kind, at, random);
  const db = drizzle(env.DB);
  const { requestId = `${subjectId}:${effectId}`, ...who } = by ?? {};
  const actor = { ...systemActor("system", teamId ?? ""), ...who };
  const ctx = { actor, db, newId, now: () => at, requestId };
  const rows = [action && (failed ? auditRefusal : audit)(ctx, action, subjectId, metadata), event && emit(ctx, event)];
  const [first, ...rest] = rows.filter((row) => row !== undefined && row !== null);
  if (first) await commit(db, first, ...rest);
  if (!event) return;
  // Not awaited: what is not announced is found by the sweep, and must not hold up the object's effects.
  const announced = announce(teamPort(env), teamId);
  const untold = (error: unknown) => createLog(env.LOG_LEVEL).warn("an event was not announced", { subjectId, error });
  object.waitUntil(announced.catch(untold));
}
