import { type Ctx, demand } from "#domain/context";
import type { SandboxReport } from "#domain/sandbox/report";
import { Fault, unwrap } from "#kernel/fault";

/**
 * Takes what a host tells of a sandbox that is placed on it. `forbidden` in the name of another host, and about any other
 * sandbox (platform R332, R337). Safe to repeat.
 */
export async function reportSandbox(
  ctx: Ctx,
  { hostId, sandboxId, ...report }: SandboxReport & { hostId: string; sandboxId: string },
): Promise<void> {
  demand(ctx.actor, "host:report");
  if (ctx.actor.id !== hostId) throw new Fault("forbidden", "a host reports for itself only");
  unwrap(await ctx.sandboxes.sandbox(sandboxId).report(hostId, report));
}
