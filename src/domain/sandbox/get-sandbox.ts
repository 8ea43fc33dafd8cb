import { type Ctx, demand } from "#domain/context";
import { findSandbox, type Sandbox } from "#domain/sandbox/repo";
import { Fault } from "#kernel/fault";

/** A sandbox of the actor's team by its id or its workspace's id. Another team's is reported as missing (T1). */
export async function getSandbox(ctx: Ctx, id: string): Promise<Sandbox> {
  demand(ctx.actor, "sandbox:read");
  const sandbox = await findSandbox(ctx.db, ctx.actor.teamId, id);
  if (!sandbox) throw new Fault("sandbox_not_found", "sandbox not found");
  return sandbox;
}
