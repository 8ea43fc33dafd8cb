import type { Delivery } from "#domain/channel/delivery";
import type { Result } from "#kernel/fault";

/** A delivery as its log shows it: without the event's content, and with nothing that the receiver said. */
export type LoggedDelivery = Omit<Delivery, "failures"> & {
  /** A UUID, which the receiver is told too. */
  id: string;
  channelId: string;
  eventId: string;
  /** Type of the event. */
  event: string;
  createdAt: number;
  /** Grows with each delivery of the team; lists go by it. */
  seq: number;
};

/** The notifications of one team: what is still to be sent, and the log of the last ones. */
export interface DeliveryLog {
  /** Deliveries of a channel, newest first; `before` is the `seq` that the last page ended with. */
  list(channelId: string, page: { limit: number; before: number | null }): Promise<LoggedDelivery[]>;
  /** Refuses with `delivery_not_found`, or with `conflict` while the delivery is still under way. */
  redeliver(channelId: string, deliveryId: string): Promise<Result<LoggedDelivery>>;
  /** Forgets all deliveries of a channel. Safe to repeat. */
  drop(channelId: string): Promise<void>;
}

/** Deliveries by the id of their team. */
export type DeliveryPort = { of(teamId: string): DeliveryLog };
