import type { Ctx } from "#domain/context";
import { listSandboxesById } from "#domain/sandbox/repo";
import type { FeedEvent } from "#protocol/feed";
import { type AnyTeamEvent, FeedSandbox } from "#protocol/team-feed";

/**
 * The sandboxes that events are about, as they are now; undefined at once when the events are about none. A sandbox is
 * told with the events of its own team alone. It never fails: what cannot be read is left out, because it must not hold
 * up the stream (platform R369).
 */
export function sandboxesOfEvents(
  ctx: Pick<Ctx, "db" | "log">,
  events: readonly FeedEvent[],
): Promise<{ sandboxes: FeedSandbox[] }> | undefined {
  const about = events
    .map(({ data }) => JSON.parse(data) as AnyTeamEvent)
    .filter(({ resource }) => resource.type === "sandbox");
  if (about.length === 0) return undefined;
  const wanted = new Set(about.map(({ resource, teamId }) => `${resource.id} ${teamId}`));
  const ids = [...new Set(about.map(({ resource }) => resource.id))];
  return listSandboxesById(ctx.db, ids)
    .then((rows) => rows.filter(({ id, teamId }) => wanted.has(`${id} ${teamId}`)))
    .then((rows) => ({ sandboxes: rows.map((row) => FeedSandbox.parse(row)) }))
    .catch((error) => {
      ctx.log.warn("the sandboxes of events cannot be read", { error });
      return { sandboxes: [] };
    });
}
