import type { TeamEventRow } from "#domain/event/repo";

/** What is to be sent of an event. */
type Delivery = { eventId: string };

/** Notifications of a team's channels. */
export class Deliveries {
  /** What to send of events that are about to be stored: the channels that want them, as the directory has them now. */
  async plan(_events: readonly TeamEventRow[]): Promise<Delivery[]> {
    return [];
  }

  /** Stores what was planned; called in the transaction that stores the events. */
  enqueue(_planned: readonly Delivery[]): void {}

  /** When something is to be sent next, in milliseconds, or null. */
  due(): number | null {
    return null;
  }

  /** Sends what is due. Called after new events and by the alarm; never rejects. */
  async run(): Promise<void> {}
}
