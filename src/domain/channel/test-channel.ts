import { eq } from "drizzle-orm";
import { parseConfig } from "#domain/channel/config";
import { failureOf } from "#domain/channel/delivery";
import { type Notification, TEST_EVENT } from "#domain/channel/notification";
import { render } from "#domain/channel/render";
import type { Provider } from "#domain/channel/values";
import { type Ctx, demand } from "#domain/context";
import { Fault } from "#kernel/fault";
import { teams } from "#schema";

/**
 * Sends one notification with the given config and stores nothing (platform R354). Throws `delivery_failed`, in words
 * that name no secret, when it did not arrive (R355).
 */
export async function testChannel(ctx: Ctx, provider: Provider, raw: Record<string, string>): Promise<void> {
  demand(ctx.actor, "channel:write");
  const { generated: _, ...channel } = parseConfig(ctx.outbound, provider, raw);
  const answer = await ctx.outbound.send(await render(channel, await testOf(ctx), ctx.outbound));
  const failure = failureOf(answer);
  if (failure !== null) throw new Fault("delivery_failed", `the test notification was not delivered: ${failure}`);
}

async function testOf({ actor, db, now }: Ctx): Promise<Notification> {
  const [team] = await db.select({ name: teams.name }).from(teams).where(eq(teams.id, actor.teamId));
  return {
    deliveryId: crypto.randomUUID(),
    teamName: team?.name ?? "",
    sentAt: now(),
    event: {
      type: TEST_EVENT,
      teamId: actor.teamId,
      actor: { type: actor.kind, id: actor.id, name: actor.name },
      resource: { type: "channel", id: "test" },
      metadata: {},
      at: now(),
    },
  };
}
