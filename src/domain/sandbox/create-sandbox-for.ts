import { type Ctx, demand } from "#domain/context";
import { createSandbox, type SandboxWish } from "#domain/sandbox/create-sandbox";
import type { Sandbox } from "#domain/sandbox/repo";
import { findTeam, teamNotFound } from "#domain/team/repo";
import { Fault } from "#kernel/fault";

/**
 * An administrator of the platform makes a sandbox in any team, by default in the one that is active (platform A14). It is
 * audited there. `team_not_found`, and `no_team` without either.
 */
export async function createSandboxFor(ctx: Ctx, teamId: string | undefined, wish: SandboxWish): Promise<Sandbox> {
  demand(ctx.actor, "platform:admin");
  const id = teamId ?? ctx.actor.teamId;
  if (id === "") throw new Fault("no_team", "no team is active; name one");
  const team = await findTeam(ctx.db, id);
  if (!team) throw teamNotFound();
  return createSandbox({ ...ctx, actor: { ...ctx.actor, teamId: team.id, role: "owner" } }, wish);
}
