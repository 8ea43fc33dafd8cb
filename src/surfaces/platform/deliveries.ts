import { z } from "zod";
import { listDeliveries } from "#domain/channel/list-deliveries";
import type { LoggedDelivery } from "#domain/channel/ports";
import { redeliverNotification } from "#domain/channel/redeliver-notification";
import { operation } from "#http/operation";
import { PageSize } from "#http/query";
import type { RateLimit } from "#http/rate-limit";
import { iso, MINUTE } from "#kernel/time";

const DeliveryResource = z
  .object({
    id: z.string().describe("Told to the receiver as `X-Wrenn-Delivery`."),
    channel_id: z.string(),
    event_id: z.string(),
    event: z.string(),
    state: z.enum(["pending", "delivered", "failed"]),
    attempts: z.int(),
    last_status: z.int().nullable().describe("Status of the receiver's last answer."),
    reason: z.string().nullable().describe("Why there was no answer."),
    created_at: z.iso.datetime(),
    attempted_at: z.iso.datetime().nullable(),
    next_attempt_at: z.iso.datetime().nullable(),
  })
  .meta({ id: "ChannelDelivery" });

const DeliveryPage = z
  .object({ deliveries: z.array(DeliveryResource), next_cursor: z.string().nullable() })
  .meta({ id: "ChannelDeliveryPage" });

const REDELIVER_LIMIT: RateLimit = {
  name: "channel-redeliver",
  perAddress: { quota: 300, windowMs: MINUTE },
  perSubject: { quota: 60, windowMs: MINUTE },
};

const isoOrNull = (ms: number | null) => (ms === null ? null : iso(ms));

const toDelivery = (delivery: LoggedDelivery): z.input<typeof DeliveryResource> => ({
  id: delivery.id,
  channel_id: delivery.channelId,
  event_id: delivery.eventId,
  event: delivery.event,
  state: delivery.state,
  attempts: delivery.attempts,
  last_status: delivery.status,
  reason: delivery.reason,
  created_at: iso(delivery.createdAt),
  attempted_at: isoOrNull(delivery.attemptedAt),
  next_attempt_at: isoOrNull(delivery.due),
});

/** Beyond the contract: what became of a channel's notifications. */
export const deliveryOperations = [
  operation({
    id: "listChannelDeliveries",
    method: "get",
    path: "/v1/channels/{id}/deliveries",
    tag: "channels",
    summary: "List the last deliveries of a channel, newest first",
    description: "Kept for seven days, and at most 1,000 for each channel.",
    permission: "channel:read",
    params: z.object({ id: z.string().max(100) }),
    query: z.object({ limit: PageSize, cursor: z.string().max(200).optional() }),
    returns: { status: 200, schema: DeliveryPage },
    faults: ["channel_not_found", "invalid_cursor"],
    run: async (ctx, { params, query }) => {
      const input = { channelId: params.id, limit: query.limit, cursor: query.cursor };
      const { items, nextCursor = null } = await listDeliveries(ctx, input);
      return { deliveries: items.map(toDelivery), next_cursor: nextCursor };
    },
  }),
  operation({
    id: "redeliverNotification",
    method: "post",
    path: "/v1/channels/{id}/deliveries/{deliveryId}/redeliver",
    tag: "channels",
    summary: "Send a notification that was delivered or given up once more",
    permission: "channel:write",
    audits: "channel.redelivered",
    limit: REDELIVER_LIMIT,
    limitSubject: ({ actor }) => `user ${actor.id}`,
    params: z.object({ id: z.string().max(100), deliveryId: z.string().max(100) }),
    returns: { status: 202, schema: DeliveryResource },
    faults: ["channel_not_found", "delivery_not_found", "conflict"],
    run: async (ctx, { params }) => toDelivery(await redeliverNotification(ctx, params.id, params.deliveryId)),
  }),
];
