import { systemActor } from "#domain/actor";
import { type AuditAction, audit } from "#domain/audit/audit";
import { commit, type Db } from "#domain/context";
import { sha256 } from "#kernel/digest";
import { type IdKind, makeId } from "#kernel/id";

type Entry = {
  teamId: string;
  action: AuditAction;
  subjectId: string;
  at: number;
  metadata?: Record<string, unknown>;
};

/**
 * Writes the audit entry of a change an object made by itself. `effectId` names the effect that does so, within the
 * object; the entry's id follows from it, so a repeated effect leaves one entry.
 */
export async function recordChange(db: Db, effectId: string, entry: Entry): Promise<void> {
  const { teamId, action, subjectId, at, metadata } = entry;
  const digest = await sha256(`${subjectId}:${effectId}`);
  const random = Uint8Array.from(digest.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const newId = (kind: IdKind) => makeId(kind, at, random);
  const ctx = { actor: systemActor("system", teamId), db, newId, now: () => at, requestId: `${subjectId}:${effectId}` };
  await commit(db, audit(ctx, action, subjectId, metadata));
}
