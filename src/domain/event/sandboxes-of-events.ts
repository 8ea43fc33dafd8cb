import type { Ctx } from "#domain/context";
import { listSandboxesById, type Sandbox } from "#domain/sandbox/repo";
import type { AnyTeamEvent } from "#protocol/team-feed";

/**
 * The sandboxes that events are about, as they are now. The caller may see the events; a sandbox is shown only with the
 * events of its own team. What cannot be read is left out: it must not hold up the stream (platform R369).
 */
export async function sandboxesOfEvents(
  ctx: Pick<Ctx, "db" | "log">,
  events: readonly AnyTeamEvent[],
): Promise<(event: AnyTeamEvent) => Sandbox | undefined> {
  const about = events.filter(({ resource }) => resource.type === "sandbox");
  const ids = [...new Set(about.map(({ resource }) => resource.id))];
  const rows = await listSandboxesById(ctx.db, ids).catch((error) => {
    ctx.log.warn("the sandboxes of events cannot be read", { error });
    return [];
  });
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ({ resource, teamId }) => {
    const sandbox = byId.get(resource.id);
    return sandbox?.teamId === teamId ? sandbox : undefined;
  };
}
