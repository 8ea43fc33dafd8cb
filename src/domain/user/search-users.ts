import { and, asc, eq, gte, lt } from "drizzle-orm";
import { normalEmail } from "#domain/account/values";
import { type Ctx, demand } from "#domain/context";
import { Fault } from "#kernel/fault";
import { users } from "#schema";

const MIN_PREFIX = 3;
const MAX_FOUND = 10;
/** Sorts after everything that can follow a prefix. */
const LAST = "\u{10FFFF}";

export type FoundUser = { id: string; email: string };

/**
 * At most ten active accounts whose e-mail begins with a prefix, by e-mail (platform R114 to R117). The prefix must hold
 * an "@", so that nobody can leaf through all accounts. A range is used and no pattern: D1 takes patterns of fifty bytes
 * at most, and nothing in a range needs escaping.
 */
export async function searchUsers(ctx: Ctx, prefix: string): Promise<FoundUser[]> {
  demand(ctx.actor, "account:read");
  const from = normalEmail(prefix);
  if (!from.includes("@")) throw new Fault("invalid", 'the prefix must contain "@"');
  if (from.length < MIN_PREFIX) throw new Fault("invalid", `the prefix needs ${MIN_PREFIX} characters`);
  return ctx.db
    .select({ id: users.id, email: users.email })
    .from(users)
    .where(and(eq(users.status, "active"), gte(users.email, from), lt(users.email, from + LAST)))
    .orderBy(asc(users.email))
    .limit(MAX_FOUND);
}
