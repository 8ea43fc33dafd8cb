import { and, eq } from "drizzle-orm";
import type { Actor } from "#domain/actor";
import type { Ctx } from "#domain/context";
import { findHost, type Host } from "#domain/host/repo";
import { Fault } from "#kernel/fault";
import { hosts } from "#schema";

/** True for those who may change a host: of `teamId`, or of the platform when it is null (platform R306, R307, R328). */
export function manages(actor: Actor, teamId: string | null): boolean {
  if (actor.kind === "system" || (actor.kind === "user" && actor.platformAdmin)) return true;
  return teamId !== null && actor.teamId === teamId && (actor.role === "owner" || actor.role === "admin");
}

const seesAll = ({ kind, platformAdmin }: Actor) => kind === "system" || platformAdmin;

/** The condition by which somebody sees hosts: all of them, or the own ones of their team (platform R310). */
export const visibleTo = (actor: Actor) =>
  seesAll(actor) ? undefined : and(eq(hosts.type, "byoc"), eq(hosts.teamId, actor.teamId));

const notFound = () => new Fault("host_not_found", "no such host");

/** A host the actor may see; `host_not_found` for any other, whether it exists or not (platform R311). */
export async function getVisibleHost(ctx: Ctx, id: string): Promise<Host> {
  const host = await findHost(ctx.db, id);
  const visible = host && (seesAll(ctx.actor) || (host.type === "byoc" && host.teamId === ctx.actor.teamId));
  if (!visible) throw notFound();
  return host;
}

/** A host the actor may change. One they see and may not change is `forbidden`. */
export async function getManagedHost(ctx: Ctx, id: string): Promise<Host> {
  const host = await getVisibleHost(ctx, id);
  if (!manages(ctx.actor, host.teamId)) throw new Fault("forbidden", "you may not change this host");
  return host;
}

/**
 * The same where the contract has no 404 for people who are no platform administrators: a host that is not theirs is
 * `forbidden`, whether it exists or not (platform R319, R328).
 */
export async function demandManagedHost(ctx: Ctx, id: string): Promise<Host> {
  const host = await findHost(ctx.db, id);
  if (host && manages(ctx.actor, host.teamId)) return host;
  if (seesAll(ctx.actor)) throw notFound();
  throw new Fault("forbidden", "you may not change this host");
}
