import { drizzle } from "drizzle-orm/d1";
import { readConfig } from "#domain/channel/config";
import { ATTEMPT_MS, type Attempt, begin, finish, pauseAfter } from "#domain/channel/delivery";
import type { LoggedDelivery } from "#domain/channel/ports";
import { render } from "#domain/channel/render";
import { findTarget, listSubscriptions, type Target } from "#domain/channel/repo";
import type { TeamEventRow } from "#domain/event/repo";
import type { Result } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { SECOND } from "#kernel/time";
import { DeliveryTable, type PlannedDelivery, type StoredDelivery } from "#objects/team/delivery-table";
import { outbound } from "#platform/outbound/outbound";
import { secretBox } from "#platform/secret-box";

/** Sends of one channel in one invocation, which may not make requests without end; the alarm goes on behind them. */
const SENDS_AT_ONCE = 100;
/** How long a channel waits after our own storage failed. */
const RETRY_MS = 5 * SECOND;

type Shell = {
  storage: DurableObjectStorage;
  env: Env;
  /** The team whose deliveries these are. */
  team: () => string;
  /** Has `work` called in an invocation of its own: one may hold but a few connections, and channels must not share. */
  wake: (channelId: string) => Promise<void>;
  /** To be called whenever `due` may have changed. */
  arm: () => void;
};

/**
 * Notifications of a team's channels: one delivery for each event and each channel that wants it, sent at least once.
 * Every channel has a lane of its own, in which one request is under way at a time. New events go out in their order; one
 * that failed is sent again later and lets those behind it pass. A receiver that asks for a pause gets it for its lane.
 */
export class Deliveries {
  readonly #shell: Shell;
  readonly #table: DeliveryTable;
  /** Lanes that were woken, and those in which work is under way. */
  readonly #lanes = new Map<string, "woken" | "at work">();

  constructor(shell: Shell) {
    this.#shell = shell;
    this.#table = new DeliveryTable(shell.storage.sql);
  }

  /** What to send of events that are about to be stored: the channels that want them, as the directory has them now. */
  async plan(events: readonly TeamEventRow[]): Promise<PlannedDelivery[]> {
    const channels = await listSubscriptions(drizzle(this.#shell.env.DB), this.#shell.team());
    return events.flatMap(({ id: eventId, type, payload }) =>
      channels.flatMap((channel) =>
        channel.events.includes(type) ? [{ channelId: channel.id, eventId, type, payload }] : [],
      ),
    );
  }

  /** Stores what was planned; called in the transaction that stores the events. */
  enqueue(planned: readonly PlannedDelivery[]): void {
    this.#table.add(planned, Date.now());
  }

  /** When something is to be done next, in milliseconds, or null. */
  due(): number | null {
    const guard = Date.now() + ATTEMPT_MS;
    const lanes = this.#table
      .lanes()
      .map(({ channelId, at }) => (this.#lanes.has(channelId) ? Math.max(at, guard) : at));
    return [...lanes, this.#table.dropAt()].reduce<number | null>(earlier, null);
  }

  /** Starts the lanes in which something is due. */
  run(): void {
    const now = Date.now();
    this.#table.drop(now);
    for (const { channelId, at } of this.#table.lanes()) {
      if (at <= now && !this.#lanes.has(channelId)) this.#wake(channelId);
    }
  }

  /** Sends what is due to a channel, one after the other; never rejects. */
  async work(channelId: string): Promise<void> {
    if (this.#lanes.get(channelId) === "at work") return;
    this.#lanes.set(channelId, "at work");
    try {
      for (let sent = 0; sent < SENDS_AT_ONCE; sent++) if (!(await this.#sendNext(channelId))) break;
    } catch (error) {
      createLog(this.#shell.env.LOG_LEVEL).error("notifications wait because storage failed", { channelId, error });
      this.#table.pause(channelId, Date.now() + RETRY_MS);
    } finally {
      this.#lanes.delete(channelId);
      this.#shell.arm();
    }
  }

  list(channelId: string, page: { limit: number; before: number | null }): LoggedDelivery[] {
    return this.#table.list(channelId, page);
  }

  redeliver(channelId: string, deliveryId: string): Result<LoggedDelivery> {
    const again = this.#table.redeliver(channelId, deliveryId, Date.now());
    if (!again.ok) return again;
    this.run();
    this.#shell.arm();
    return again;
  }

  forget(channelId: string): void {
    this.#table.forget(channelId);
  }

  #wake(channelId: string): void {
    this.#lanes.set(channelId, "woken");
    this.#shell.wake(channelId).catch((error) => {
      createLog(this.#shell.env.LOG_LEVEL).warn("notifications wait because their lane did not start", {
        channelId,
        error,
      });
      if (this.#lanes.get(channelId) === "woken") this.#lanes.delete(channelId);
      this.#table.pause(channelId, Date.now() + RETRY_MS);
      this.#shell.arm();
    });
  }

  /** One attempt; false when nothing is due in the lane. */
  async #sendNext(channelId: string): Promise<boolean> {
    const next = this.#table.next(channelId, Date.now());
    if (!next) return false;
    const target = await findTarget(drizzle(this.#shell.env.DB), this.#shell.team(), channelId);
    if (!target) {
      this.#table.forget(channelId);
      return false;
    }
    const begun = begin(next, Date.now());
    if (!this.#table.write(next, begun)) return true;
    if (begun.state !== "pending") return true;
    // What is sent must be noted first: a crash after it leads to a repeat, never to a loss.
    await this.#shell.storage.sync();
    const attempt = await this.#attempt({ ...next, ...begun }, target);
    const now = Date.now();
    const pause = pauseAfter(attempt);
    if (pause > 0) this.#table.pause(channelId, now + pause);
    this.#table.write({ ...next, ...begun }, finish(begun, attempt, now, Math.random()));
    return true;
  }

  async #attempt(delivery: StoredDelivery, { config, teamName }: Target): Promise<Attempt> {
    const { env } = this.#shell;
    const port = outbound(env);
    try {
      const channel = readConfig(await secretBox(env).open(config, delivery.channelId));
      const { id: deliveryId, payload: event } = delivery;
      return await port.send(await render(channel, { deliveryId, event, teamName, sentAt: Date.now() }, port));
    } catch {
      // The error may quote what could not be read.
      return { status: null, reason: "config_unreadable", retryAfterMs: null };
    }
  }
}

const earlier = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.min(a, b);
