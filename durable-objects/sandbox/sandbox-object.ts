import { DurableObject } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import type { Initiator } from "#domain/sandbox/initiator";
import { step, stillWanted } from "#domain/sandbox/machine";
import { withNews } from "#domain/sandbox/news";
import type {
  RouteOptions,
  SandboxHandle,
  SandboxMetrics,
  SandboxRoute,
  SandboxSpec,
  SandboxView,
  SnapshotUpload,
} from "#domain/sandbox/ports";
import { findSandbox, listSandboxesById, specOf } from "#domain/sandbox/repo";
import { eventOf, RESTARTED, type SandboxReport } from "#domain/sandbox/report";
import {
  type DirectoryEffect,
  type DriverEffect,
  isCold,
  isForDriver,
  isMoving,
  type SandboxEvent,
  type SandboxState,
} from "#domain/sandbox/state";
import { ok, type Result, refuse } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { SECOND } from "#kernel/time";
import { arm } from "#objects/kit/arm";
import { migrate } from "#objects/kit/migrate";
import { Outbox } from "#objects/kit/outbox";
import { SandboxDirectory } from "#objects/sandbox/directory";
import { SandboxDriver } from "#objects/sandbox/driver";
import { LoadReports } from "#objects/sandbox/load-reports";
import { KeptMetrics, readMetrics } from "#objects/sandbox/metrics";
import { SignedRoute } from "#objects/sandbox/signed-route";
import { SandboxSnapshots } from "#objects/sandbox/snapshots";
import { SANDBOX_MIGRATIONS, SandboxStore } from "#objects/sandbox/store";
import { Waiters } from "#objects/sandbox/waiters";
import { sandboxBackend } from "#platform/sandbox/port";
import type { MetricTier } from "#protocol/host-agent";

const RETRY_MS = 5_000;
/** The directory learns of activity this often while a sandbox is in use, and the object's own storage this often. */
const TELL_ACTIVITY_MS = 30 * SECOND;
const KEEP_ACTIVITY_MS = SECOND;

/** Shell around one sandbox's machine: load, step, persist, then perform effects. It holds no rules. */
export class SandboxObject extends DurableObject<Env> implements SandboxHandle {
  readonly #store = new SandboxStore(this.ctx.storage);
  readonly #told = new SandboxDirectory(this.ctx, this.env, () => {
    const { spec, state, lastActiveAt } = this.#store;
    return spec && { spec, state, lastActiveAt };
  });
  readonly #directory = new Outbox<DirectoryEffect>(this.ctx.storage, "directory", (e, seq) =>
    this.#told.perform(e, seq),
  );
  readonly #drivers = new Outbox<DriverEffect>(
    this.ctx.storage,
    "drivers",
    (effect) => this.#driver.perform(effect),
    (effect) => stillWanted(effect, this.#store.state),
  );
  readonly #loads = new LoadReports(this.ctx.storage, this.env);
  readonly #metrics = new KeptMetrics(this.ctx.storage);
  readonly #driver = new SandboxDriver(this.env, {
    spec: () => this.#store.spec,
    state: () => this.#store.state,
    keepSetup: (setup) => this.#store.keepSetup(setup),
    metrics: this.#metrics,
    send: (event) => this.#send(event),
    until: (done) => this.#waiters.until(done),
  });
  readonly #snapshots = new SandboxSnapshots(this.env);
  readonly #route = new SignedRoute(this.env);
  /** Every transition has a deadline, so whoever waits for its end gets an answer. */
  readonly #waiters = new Waiters(() => this.#store.state);
  #checking: Promise<void> | undefined;
  #activityToldAt = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, SANDBOX_MIGRATIONS);
    this.#store.load();
    this.#loads.note(this.#store.spec, this.#store.state, Date.now());
    this.#arm();
  }

  async adopt(spec: SandboxSpec): Promise<void> {
    this.#store.adopt(spec);
  }

  async get(teamId: string): Promise<Result<SandboxView>> {
    return (await this.#unknown(teamId)) ?? ok(this.#view());
  }

  async start(teamId: string): Promise<Result<SandboxView>> {
    return (await this.#unknown(teamId)) ?? this.#start();
  }

  async begin(spec: SandboxSpec): Promise<Result<SandboxView>> {
    this.#store.adopt(spec);
    const started = this.#send({ type: "start" });
    return started.ok ? ok(this.#view()) : started;
  }

  async stop(teamId: string, by?: Initiator): Promise<Result<SandboxView>> {
    return (await this.#unknown(teamId)) ?? this.#ask({ type: "stop", files: "keep", by });
  }

  async destroy(teamId: string, by?: Initiator): Promise<Result<SandboxView>> {
    return (await this.#unknown(teamId)) ?? this.#ask({ type: "stop", files: "wipe", by });
  }

  async pause(teamId: string, by?: Initiator): Promise<Result<SandboxView>> {
    const unknown = await this.#unknown(teamId);
    if (!unknown && this.#snapshots.isTaking) return refuse("sandbox_not_running", "a snapshot of it is being taken");
    return unknown ?? this.#ask({ type: "pause", by });
  }

  async snapshot(teamId: string, upload: SnapshotUpload): Promise<Result<string>> {
    const unknown = await this.#unknown(teamId);
    if (unknown) return unknown;
    try {
      return await this.#snapshots.take(this.ctx.id.name ?? "", () => this.#store.state, upload);
    } finally {
      // It was in use, so its idle time begins anew.
      if (this.#store.state.status === "running") this.#noteActivity(Date.now());
      this.#arm();
    }
  }

  async resume(teamId: string, by?: Initiator): Promise<Result<SandboxView>> {
    return (await this.#unknown(teamId)) ?? this.#ask({ type: "resume", by });
  }

  async ping(teamId: string): Promise<Result<null>> {
    const unknown = await this.#unknown(teamId);
    if (unknown) return unknown;
    const { status } = this.#store.state;
    if (status !== "running") return refuse("sandbox_not_running", `the sandbox is ${status}`);
    this.#noteActivity(Date.now(), true);
    await this.#directory.drain();
    return ok(null);
  }

  async route(teamId: string, { lost, wake = true, quiet = false }: RouteOptions = {}): Promise<Result<SandboxRoute>> {
    const unknown = this.#store.spec?.teamId === teamId ? undefined : await this.#unknown(teamId);
    if (unknown) return unknown;
    if (lost !== undefined && lost === this.#store.state.generation) await this.#check();
    const woken = await this.#wake(wake);
    if (!woken.ok) return woken;
    if (!quiet) this.#noteActivity(Date.now());
    return ok(await this.#route.current(this.#store));
  }

  async touch(teamId: string): Promise<void> {
    if (this.#store.spec?.teamId === teamId && this.#store.state.status === "running") this.#noteActivity(Date.now());
  }

  async metrics(teamId: string, tier: MetricTier): Promise<Result<SandboxMetrics>> {
    const unknown = await this.#unknown(teamId);
    if (unknown) return unknown;
    const { hostId, address, status, generation } = this.#store.state;
    const machine = hostId && address ? sandboxBackend(this.env, { hostId, address }) : undefined;
    return readMetrics(this.#metrics, machine, { id: this.ctx.id.name ?? "", status, generation }, tier);
  }

  async report(hostId: string, report: SandboxReport): Promise<Result<null>> {
    if (!this.#store.spec || this.#store.state.hostId !== hostId) {
      return refuse("forbidden", "no such sandbox is placed on this host");
    }
    const event = eventOf(report, this.#store.state);
    if (event?.type === "self_paused") await this.#driver.keepMetrics(event.generation);
    if (event) this.#send(event, Math.min(report.at ?? Date.now(), Date.now()));
    else if (report.event === RESTARTED && this.#store.state.status === "running") await this.#check();
    await this.#directory.drain();
    return ok(null);
  }

  async nudge(): Promise<void> {
    if (!this.#store.spec) await this.#catchUp();
    if (!this.#store.spec) return;
    this.#tick();
    const { status } = this.#store.state;
    if (status === "running" || status === "missing") await this.#check();
    await this.#drain();
  }

  /** The platform stops calling after some failures, so nothing escapes and the alarm is always set again (R9). */
  override async alarm(): Promise<void> {
    try {
      this.#metrics.drop(Date.now());
      if (this.#store.spec) this.#tick();
      await this.#drain();
    } catch (error) {
      createLog(this.env.LOG_LEVEL).error("sandbox alarm failed", { sandboxId: this.#store.spec?.id, error });
      await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    }
  }

  /** Undefined when this is the team's sandbox; an object that was not told yet reads its row. */
  async #unknown(teamId: string): Promise<Extract<Result<never>, { ok: false }> | undefined> {
    if (!this.#store.spec) {
      const row = await findSandbox(drizzle(this.env.DB), teamId, this.ctx.id.name ?? "");
      if (row) this.#store.adopt(specOf(row));
    }
    return this.#store.spec?.teamId === teamId ? undefined : refuse("sandbox_not_found", "sandbox not found");
  }

  /** An object that was never reached, though its row says that it was to start. */
  async #catchUp(): Promise<void> {
    const [row] = await listSandboxesById(drizzle(this.env.DB), [this.ctx.id.name ?? ""]);
    if (row?.status === "starting") await this.begin(specOf(row));
  }

  /** Answers once the sandbox runs; refuses when it does not and may not be woken, or cannot be. */
  async #wake(may: boolean): Promise<Result<unknown>> {
    const { status } = this.#store.state;
    if (status === "running") return ok(null);
    const no = refuse("sandbox_not_running", `the sandbox is ${status}`);
    if (!may) return no;
    if (isCold(this.#store.state) || status === "starting") return this.#start();
    if (status === "pausing") {
      await this.#waiters.until((state) => state.status !== "pausing");
      return this.#wake(may);
    }
    if (status === "paused") this.#send({ type: "resume" });
    else if (status !== "resuming") return no;
    await this.#waiters.until((state) => state.status !== "resuming");
    const { status: now, fault, reason } = this.#store.state;
    return now === "running" ? ok(null) : refuse(fault ?? "sandbox_not_running", reason ?? `the sandbox is ${now}`);
  }

  async #start(): Promise<Result<SandboxView>> {
    const started = this.#send({ type: "start" });
    if (!started.ok) return started;
    await this.#waiters.until((state) => state.status !== "starting");
    const { status, fault, reason } = this.#store.state;
    if (status === "running") return ok(this.#view());
    return refuse(fault ?? "sandbox_not_running", reason ?? `the sandbox is ${status}`);
  }

  #tick(): void {
    this.#send({ type: "tick", idleAt: this.#idleAt });
  }

  /** A snapshot that is being taken is use. */
  get #idleAt(): number | null {
    return this.#snapshots.isTaking ? null : this.#store.idleAt;
  }

  /** Answers once the directory knows, so that whoever asked reads there what they were told. */
  async #ask(event: SandboxEvent): Promise<Result<SandboxView>> {
    const sent = this.#send(event);
    if (!sent.ok) return sent;
    const view = this.#view();
    await this.#directory.drain();
    return ok(view);
  }

  /** Asks the host whether the sandbox still runs there; callers that come meanwhile share the answer. */
  #check(): Promise<void> {
    this.#checking ??= this.#driver.check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  /** `told` is when it happened, as those who follow are told. */
  #send(event: SandboxEvent, told = Date.now()): Result<SandboxState> {
    const now = Date.now();
    const stepped = step(this.#store.state, event, now);
    if (!stepped.ok) return stepped;
    const { state } = stepped.value;
    const effects = withNews(this.#store.state, stepped.value, told);
    if (effects.length === 0) return ok(state);
    const runs = state.status === "running" && this.#store.state.status !== "running";
    this.ctx.storage.transactionSync(() => {
      this.#store.save(state);
      this.#loads.note(this.#store.spec, state, now);
      if (runs) this.#store.noteActivity(now);
      for (const effect of effects) {
        if (isForDriver(effect)) this.#drivers.add([effect]);
        else this.#directory.add([effect]);
      }
    });
    this.#store.state = state;
    this.#route.forget();
    this.#waiters.look();
    this.#arm();
    this.ctx.waitUntil(this.#drain());
    return ok(state);
  }

  async #drain(): Promise<void> {
    await Promise.all([this.#directory.drain(), this.#drivers.drain(), this.#loads.outbox.drain()]);
    this.#arm();
  }

  #arm(): void {
    const { state } = this.#store;
    const work = [this.#directory.due(), this.#drivers.due(), this.#loads.outbox.due(), this.#metrics.dropAt()];
    arm(this.ctx, isMoving(state) ? state.deadline : this.#idleAt, ...work);
  }

  #noteActivity(now: number, tell = now - this.#activityToldAt >= TELL_ACTIVITY_MS): void {
    if (!tell && now - (this.#store.lastActiveAt ?? 0) < KEEP_ACTIVITY_MS) return;
    this.ctx.storage.transactionSync(() => {
      this.#store.noteActivity(now);
      if (tell) this.#directory.add([{ type: "publish" }]);
    });
    if (!tell) return;
    this.#activityToldAt = now;
    this.ctx.waitUntil(this.#drain());
  }

  #view(): SandboxView {
    const { status, reason, hostId, generation } = this.#store.state;
    return { status, reason, hostId, generation };
  }
}
