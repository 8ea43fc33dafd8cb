import { DurableObject } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import type { LoggedDelivery } from "#domain/channel/ports";
import { PLATFORM, type TeamHandle } from "#domain/event/ports";
import { listTeamEvents, type TeamEventRow } from "#domain/event/repo";
import { resumeStream } from "#domain/event/resume-stream";
import { sandboxesOfEvents } from "#domain/event/sandboxes-of-events";
import type { DayUsage, LoadReport, TeamStats } from "#domain/usage/ports";
import type { StatsRange } from "#domain/usage/values";
import type { Result } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { SECOND } from "#kernel/time";
import { arm } from "#objects/kit/arm";
import { Feed } from "#objects/kit/feed";
import { migrate } from "#objects/kit/migrate";
import { Outbox } from "#objects/kit/outbox";
import { Deliveries } from "#objects/team/deliveries";
import { DeliveryTable } from "#objects/team/delivery-table";
import { TeamEventLog } from "#objects/team/event-log";
import { TeamUsage } from "#objects/team/usage";
import { UsageTable } from "#objects/team/usage-table";
import { teamPort } from "#platform/event/port";
import type { FeedEvent } from "#protocol/feed";
import type { TransientEvent } from "#protocol/team-feed";

const MIGRATIONS = [TeamEventLog.MIGRATION, Outbox.MIGRATION, DeliveryTable.MIGRATION, UsageTable.MIGRATION];
const RETRY_MS = 5 * SECOND;
/** Rows of the directory that are taken up in one transaction. */
const PAGE = 200;
const NUDGES_AT_ONCE = 20;

/** The newest row of each team among those that the platform's log took up. */
type Forward = { newest: Record<string, number> };

/**
 * One team's events: takes them up from the directory in the order of their commits, numbers them, keeps the last ones,
 * and fans them out to readers. The object named `platform` does so for all teams, and tells each team's object what it
 * saw, so that an event whose announcement was lost in a crash is taken up all the same.
 */
export class TeamObject extends DurableObject<Env> implements Omit<TeamHandle, "openFeed"> {
  readonly #log: TeamEventLog;
  readonly #feed: Feed<FeedEvent>;
  readonly #deliveries: Deliveries;
  readonly #usage = new TeamUsage(this.ctx.storage);
  readonly #forwards = new Outbox<Forward>(this.ctx.storage, "forwards", (forward) => this.#forward(forward));
  #taking: Promise<void> | undefined;
  #again = false;
  /** When taking up is tried again after a failure. */
  #retryAt: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, MIGRATIONS);
    this.#log = new TeamEventLog(ctx.storage.sql, ctx.id.name ?? "");
    const about = { db: drizzle(env.DB), log: createLog(env.LOG_LEVEL) };
    this.#feed = new Feed(
      ctx,
      () => this.#log,
      (events) => sandboxesOfEvents(about, events),
    );
    this.#deliveries = new Deliveries({
      storage: ctx.storage,
      env,
      team: () => this.#log.team,
      wake: (channelId) => env.TEAM.getByName(this.#log.team).deliver(channelId),
      arm: () => this.#arm(),
    });
    ctx.blockConcurrencyWhile(() => this.#feed.catchUp());
    this.#arm();
  }

  async nudge(upTo?: number): Promise<void> {
    if (upTo !== undefined && upTo <= this.#log.taken) return;
    this.#again = true;
    this.#taking ??= this.#takeAll();
    await this.#taking;
  }

  async tell(event: TransientEvent): Promise<void> {
    this.#feed.push([{ seq: null, type: event.type, createdAt: event.at, data: JSON.stringify(event) }]);
  }

  async listDeliveries(channelId: string, page: { limit: number; before: number | null }): Promise<LoggedDelivery[]> {
    return this.#deliveries.list(channelId, page);
  }

  async redeliver(channelId: string, deliveryId: string): Promise<Result<LoggedDelivery>> {
    return this.#deliveries.redeliver(channelId, deliveryId);
  }

  async dropDeliveries(channelId: string): Promise<void> {
    this.#deliveries.forget(channelId);
  }

  async reportLoad(report: LoadReport): Promise<void> {
    this.#usage.report(report, Date.now());
  }

  async stats(range: StatsRange, since: number): Promise<TeamStats> {
    return this.#usage.stats(range, since, Date.now());
  }

  async usageDays(from: number, to: number): Promise<DayUsage[]> {
    return this.#usage.days(from, to, Date.now());
  }

  /** Sends what is due to one channel, in the background of this call; the object itself calls it. */
  async deliver(channelId: string): Promise<void> {
    this.ctx.waitUntil(this.#deliveries.work(channelId));
  }

  /** The upgrade of `openFeed`; everything else about this object is called by RPC. */
  override async fetch(request: Request): Promise<Response> {
    const lastEventId = new URL(request.url).searchParams.get("last-event-id") ?? undefined;
    return this.#feed.accept(resumeStream(lastEventId, this.#log.name, this.#log.next, this.#log.bounds()));
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    await this.#feed.receive(socket, data);
  }

  /** The platform stops calling after some failures, so nothing escapes and the alarm is always set again (R9). */
  override async alarm(): Promise<void> {
    try {
      this.#retryAt = null;
      this.#log.drop(Date.now());
      await this.nudge();
      await this.#work();
    } catch (error) {
      this.#failed("the alarm of a team failed, will retry", error);
    }
  }

  /** Takes up rows until there are no more; a nudge that comes meanwhile makes it look once more. */
  async #takeAll(): Promise<void> {
    await null; // the caller's assignment comes first, so the one at the end cannot be overwritten by it
    try {
      while (this.#again) {
        this.#again = false;
        for (let more = true; more; ) more = await this.#takePage();
      }
    } catch (error) {
      this.#failed("taking events up failed, will retry", error);
    } finally {
      this.#taking = undefined;
    }
    this.ctx.waitUntil(this.#work());
  }

  /** One page, in one transaction; false when it was the last. */
  async #takePage(): Promise<boolean> {
    const isPlatform = this.#log.team === PLATFORM;
    const db = drizzle(this.env.DB);
    const rows = await listTeamEvents(db, isPlatform ? null : this.#log.team, this.#log.taken, PAGE);
    const last = rows.at(-1);
    if (!last) return false;
    const planned = isPlatform ? [] : await this.#deliveries.plan(rows);
    const stored = this.ctx.storage.transactionSync(() => {
      if (isPlatform) this.#forwards.add(forwardsOf(rows));
      this.#deliveries.enqueue(planned);
      return this.#log.append(rows.map(toEvent), last.seq, Date.now());
    });
    this.#log.committed();
    this.#feed.push(stored);
    this.#arm();
    return rows.length === PAGE;
  }

  async #forward({ newest }: Forward): Promise<void> {
    const teams = Object.entries(newest);
    const port = teamPort(this.env);
    for (let i = 0; i < teams.length; i += NUDGES_AT_ONCE) {
      await Promise.all(teams.slice(i, i + NUDGES_AT_ONCE).map(([id, seq]) => port.team(id).nudge(seq)));
    }
  }

  async #work(): Promise<void> {
    this.#deliveries.run();
    await this.#forwards.drain();
    this.#arm();
  }

  #failed(message: string, error: unknown): void {
    createLog(this.env.LOG_LEVEL).error(message, { teamId: this.#log.team, error });
    this.#retryAt = Date.now() + RETRY_MS;
    this.#arm();
  }

  #arm(): void {
    arm(this.ctx, this.#retryAt, this.#forwards.due(), this.#deliveries.due(), this.#log.dropAt());
  }
}

const toEvent = ({ type, createdAt, payload }: TeamEventRow) => ({ type, createdAt, data: JSON.stringify(payload) });

/** Which teams have something new; one effect for all, and none when the rows are the platform's own. */
function forwardsOf(rows: readonly TeamEventRow[]): Forward[] {
  const newest = Object.fromEntries(rows.flatMap(({ teamId, seq }) => (teamId === null ? [] : [[teamId, seq]])));
  return Object.keys(newest).length === 0 ? [] : [{ newest }];
}
