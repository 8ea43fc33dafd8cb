import { and, eq, exists, isNull, sql } from "drizzle-orm";
import { audit } from "#domain/audit/audit";
import { onlyIf, refuseUnmet } from "#domain/conditional";
import { type Ctx, commit, type Db, demand, inTeam } from "#domain/context";
import { type Host, insertHost } from "#domain/host/repo";
import { newHostToken, REGISTRATION_TTL_MS } from "#domain/host/values";
import { manages } from "#domain/host/visible-host";
import { Fault } from "#kernel/fault";
import { teams } from "#schema";

type Input = {
  type: Host["type"];
  /** The owner of a `byoc` host; must be absent for a host of the platform. */
  teamId?: string | undefined;
  provider?: string | undefined;
  availabilityZone?: string | undefined;
};

export type InvitedHost = { host: Host; registrationToken: string };

/**
 * Adds a host and the one-time token with which its agent registers, which is shown here and never again. A host of the
 * platform needs a platform administrator; a team's own needs one, or an owner or administrator of that team, and that
 * the team may bring its own (platform R305 to R308).
 */
export async function createHost(ctx: Ctx, input: Input): Promise<InvitedHost> {
  demand(ctx.actor, "host:write");
  const { type, teamId = null } = input;
  if ((type === "byoc") !== (teamId !== null)) throw new Fault("invalid", "a byoc host, and no other, has a team");
  if (!manages(ctx.actor, teamId)) throw new Fault("forbidden", "you may not add such a host");
  if (teamId !== null) await demandTeam(ctx.db, teamId);
  const now = ctx.now();
  const host: Host = {
    id: ctx.newId("host"),
    teamId,
    type,
    status: "pending",
    provider: input.provider ?? null,
    availabilityZone: input.availabilityZone ?? null,
    address: null,
    arch: null,
    cpuCores: null,
    memoryMb: null,
    diskGb: null,
    capabilities: {},
    createdBy: ctx.actor.id,
    createdAt: now,
    updatedAt: now,
    lastHeartbeatAt: null,
  };
  await commit(
    ctx.db,
    onlyIf(ctx.db, teamId === null ? sql`TRUE` : bringsOwn(ctx.db, teamId), "forbidden"),
    insertHost(ctx.db, host),
    audit(inTeamOf(ctx, host), "host.created", host.id, { type }),
  ).catch(refuseUnmet({ forbidden: "this team may not bring its own hosts" }));
  // A crash here leaves a pending host without a token, for which another token can be asked.
  return { host, registrationToken: await invite(ctx, host.id) };
}

/** A new registration token of a host; the one before stops working (platform R320). */
export async function invite(ctx: Ctx, hostId: string): Promise<string> {
  const { token, hash } = await newHostToken("registration", hostId);
  const expiresAt = ctx.now() + REGISTRATION_TTL_MS;
  await ctx.hosts.host(hostId).invite({ hostId, tokenHash: hash, expiresAt });
  return token;
}

/** The same context, writing its audit rows where the host's people read them. */
export const inTeamOf = (ctx: Ctx, { teamId }: Pick<Host, "teamId">): Ctx => inTeam(ctx, teamId ?? ctx.actor.teamId);

async function demandTeam(db: Db, teamId: string): Promise<void> {
  const [team] = await db.select({ id: teams.id }).from(teams).where(isLive(teamId));
  if (!team) throw new Fault("team_not_found", "no such team");
}

const isLive = (teamId: string) => and(eq(teams.id, teamId), isNull(teams.deletedAt));

const bringsOwn = (db: Db, teamId: string) =>
  exists(
    db
      .select({ id: teams.id })
      .from(teams)
      .where(and(isLive(teamId), eq(teams.isByoc, true))),
  );
