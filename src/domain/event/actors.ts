import { eq } from "drizzle-orm";
import type { Actor } from "#domain/actor";
import type { Db } from "#domain/context";
import { isId } from "#kernel/id";
import type { EventActor } from "#protocol/team-feed";
import { apiKeys, sandboxes, users } from "#schema";

/** Who acts where nobody asked. */
export const SYSTEM: EventActor = { type: "system", id: "system", name: "system" };

/** How an event names who did it: people and their keys as themselves, and everything else as the system (R370). */
export function eventActor({ kind, id, name }: Pick<Actor, "kind" | "id" | "name">): EventActor {
  if (kind === "api_key") return { type: "api_key", id, name };
  return { type: kind === "user" || kind === "anonymous" ? "user" : "system", id, name };
}

/** Who made a sandbox, by the directory; the system once the sandbox's row is gone. */
export async function makerOf(db: Db, sandboxId: string): Promise<EventActor> {
  const [row] = await db
    .select({ id: sandboxes.createdBy, user: users.name, key: apiKeys.name })
    .from(sandboxes)
    .leftJoin(users, eq(users.id, sandboxes.createdBy))
    .leftJoin(apiKeys, eq(apiKeys.id, sandboxes.createdBy))
    .where(eq(sandboxes.id, sandboxId));
  if (!row) return SYSTEM;
  const kind = isId("apiKey", row.id) ? "api_key" : isId("user", row.id) ? "user" : "system";
  return eventActor({ kind, id: row.id, name: row.key ?? row.user ?? row.id });
}
