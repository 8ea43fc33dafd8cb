import type { DeliveryPort } from "#domain/channel/ports";

/** Deliveries in the objects of the `TEAM` binding. */
export function deliveryPort(env: Pick<Env, "TEAM">): DeliveryPort {
  return {
    of(teamId) {
      // A stub is broken for good once its object crashed, so each call takes a fresh one.
      const rpc = () => env.TEAM.getByName(teamId);
      return {
        list: (channelId, page) => rpc().listDeliveries(channelId, page),
        redeliver: (channelId, deliveryId) => rpc().redeliver(channelId, deliveryId),
        drop: (channelId) => rpc().dropDeliveries(channelId),
      };
    },
  };
}
