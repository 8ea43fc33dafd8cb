import { type Ctx, demand } from "#domain/context";
import type { Host } from "#domain/host/repo";
import { getVisibleHost } from "#domain/host/visible-host";

export async function getHost(ctx: Ctx, id: string): Promise<Host> {
  demand(ctx.actor, "host:read");
  return getVisibleHost(ctx, id);
}
