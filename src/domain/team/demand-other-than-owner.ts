import type { Db } from "#domain/context";
import { findMembership, type Membership } from "#domain/team/repo";
import { Fault } from "#kernel/fault";

/** A member who may be changed or removed: `member_not_found` for a stranger, `forbidden` for the owner (R134 to R136). */
export async function demandOtherThanOwner(db: Db, teamId: string, userId: string): Promise<Membership> {
  const membership = await findMembership(db, teamId, userId);
  if (!membership) throw new Fault("member_not_found", "the user is not in the team");
  if (membership.role === "owner") throw new Fault("forbidden", "the owner stays the owner");
  return membership;
}
