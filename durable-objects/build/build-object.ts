import { DurableObject } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { systemActor } from "#domain/actor";
import { type BuildEffect, type BuildEvent, type BuildState, initialBuild, isOver, step } from "#domain/build/machine";
import { type BuildStep, planOf } from "#domain/build/plan";
import type { BuildHandle, BuildLogEntry, BuildOrder, BuildProgress } from "#domain/build/ports";
import { findBuild, orderOf } from "#domain/build/repo";
import { Fault, ok, type Result, refuse } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { SECOND } from "#kernel/time";
import { BuildDirectory } from "#objects/build/directory";
import { BuildEvents } from "#objects/build/events";
import { BuildRunner } from "#objects/build/runner";
import { BUILD_MIGRATIONS, BuildStore, type Place, type Stream } from "#objects/build/store";
import { arm } from "#objects/kit/arm";
import { Feed } from "#objects/kit/feed";
import { migrate } from "#objects/kit/migrate";
import { Outbox } from "#objects/kit/outbox";
import { templateSnapshots } from "#platform/build/snapshots";
import { contextOf } from "#platform/context";
import type { FeedEvent } from "#protocol/feed";

/** How often a build that goes on is looked after, which also keeps this object awake. */
const LOOK_MS = 15 * SECOND;
const MAX_FAILURES = 5;
/** Characters of a step's output that readers are told as they come; all that is kept of it is in the step's log. */
const TOLD_CHARS = 1024 * 1024;

/** Shell around one build's machine: load, step, persist, then do what is next. It holds no rules. */
export class BuildObject extends DurableObject<Env> implements Omit<BuildHandle, "openFeed"> {
  readonly #store = new BuildStore(this.ctx.storage.sql);
  readonly #events = new BuildEvents(this.ctx.storage.sql);
  readonly #feed = new Feed<FeedEvent>(this.ctx, () => this.#events);
  readonly #outbox = new Outbox<BuildEffect>(this.ctx.storage, "build", (effect, seq) => this.#perform(effect, seq));
  readonly #over = new AbortController();
  #plan: BuildStep[] = [];
  #driving: Promise<void> | undefined;
  #failures = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, BUILD_MIGRATIONS);
    this.#store.load();
    if (this.#store.order) this.#plan = planOf(this.#store.order.spec);
    ctx.blockConcurrencyWhile(() => this.#feed.catchUp());
    this.#arm();
  }

  async begin(order: BuildOrder): Promise<void> {
    if (!this.#store.order) {
      this.#plan = planOf(order.spec);
      this.ctx.storage.transactionSync(() => {
        this.#store.adopt(order, initialBuild(this.#plan.length, order.createdAt));
        this.#tell("status", { status: "pending" });
      });
    }
    this.#arm();
    this.ctx.waitUntil(this.#drive());
  }

  async get(): Promise<Result<BuildProgress>> {
    const { state } = this.#store;
    return state ? ok({ state, log: this.#store.log() }) : refuse("build_not_found", "the build has not begun");
  }

  async cancel(): Promise<Result<null>> {
    if (!this.#store.order) await this.nudge();
    const sent = this.#send({ type: "cancel" });
    return sent.ok ? ok(null) : sent;
  }

  /** A build that was cut off between its row and this object begins here. */
  async nudge(): Promise<void> {
    if (!this.#store.order) {
      const row = await findBuild(drizzle(this.env.DB), this.ctx.id.name ?? "");
      if (row) await this.begin(orderOf(row));
      return;
    }
    this.#send({ type: "tick" });
    this.ctx.waitUntil(this.#drive());
  }

  /** The upgrade of `openFeed`; everything else about this object is called by RPC. */
  override async fetch(request: Request): Promise<Response> {
    const after = Number(new URL(request.url).searchParams.get("after") ?? -1);
    const { state } = this.#store;
    if (state && isOver(state) && after >= this.#events.newest) return new Response(null, { status: 409 });
    const response = await this.#feed.accept({ after });
    this.#releaseReaders();
    return response;
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    await this.#feed.receive(socket, data);
    this.#releaseReaders();
  }

  /** The platform stops calling after some failures, so nothing escapes and the alarm is always set again (R9). */
  override async alarm(): Promise<void> {
    try {
      await this.nudge();
      await this.#outbox.drain();
    } catch (error) {
      createLog(this.env.LOG_LEVEL).error("build alarm failed", { buildId: this.ctx.id.name, error });
    }
    this.#arm();
  }

  #send(event: BuildEvent, alongside: () => void = () => {}): Result<BuildState> {
    const { state } = this.#store;
    if (!state) return refuse("build_not_found", "the build has not begun");
    const stepped = step(state, event, Date.now());
    if (!stepped.ok) return stepped;
    const { state: next, effects } = stepped.value;
    if (next === state) return ok(state);
    this.ctx.storage.transactionSync(() => {
      this.#store.save(next);
      this.#outbox.add(effects);
      alongside();
      if (next.status !== state.status) this.#tell("status", { status: next.status, error: next.error ?? undefined });
    });
    this.#store.state = next;
    if (isOver(next)) {
      this.#over.abort(new Fault("conflict", "the build is over"));
      setTimeout(() => this.#releaseReaders(), 0);
    }
    this.ctx.waitUntil(this.#outbox.drain().then(() => this.#arm()));
    this.#arm();
    return ok(next);
  }

  /** Does one thing after the other until the build is over. */
  #drive(): Promise<void> {
    this.#driving ??= this.#driveOn().finally(() => {
      this.#driving = undefined;
    });
    return this.#driving;
  }

  async #driveOn(): Promise<void> {
    await null; // the caller's assignment comes first, so the one at the end cannot be overwritten by it
    const runner = this.#runner();
    while (runner && this.#store.state && !isOver(this.#store.state)) {
      try {
        await runner.perform();
        this.#failures = 0;
      } catch (error) {
        if (this.#over.signal.aborted) return;
        const known = error instanceof Fault && error.code !== "internal";
        if (known) this.#send({ type: "failed", message: error.message });
        else if (!this.#mayRetry(error)) this.#send({ type: "failed", message: "the build could not go on" });
        else return;
      }
    }
  }

  #mayRetry(error: unknown): boolean {
    createLog(this.env.LOG_LEVEL).error("a build did not go on", { buildId: this.#store.order?.id, error });
    return ++this.#failures < MAX_FAILURES;
  }

  #runner(): BuildRunner | undefined {
    const { order } = this.#store;
    if (!order) return undefined;
    const ctx = { ...contextOf(this.env, order.id), actor: systemActor("system", order.teamId) };
    return new BuildRunner({
      ...{ ctx, order, plan: this.#plan, store: this.#store, signal: this.#over.signal },
      snapshots: templateSnapshots(ctx),
      state: () => this.#store.state ?? initialBuild(0, 0),
      send: (event) => void this.#send(event),
      openStep: (n) => this.#openStep(n),
      write: (n, texts, place) => this.#write(n, texts, place),
      closeStep: (n, end, event) => this.#closeStep(n, end, event),
    });
  }

  #openStep(n: number): void {
    const { phase = "recipe", cmd = "" } = this.#plan[n] ?? {};
    this.#send({ type: "step_begun", step: n }, () => {
      this.#store.openStep({ step: n + 1, phase, cmd });
      this.#tell("step", { step: n + 1, phase, cmd });
    });
  }

  #write(n: number, texts: Partial<Record<Stream, string>>, place: Place): void {
    if (this.#over.signal.aborted) return;
    this.ctx.storage.transactionSync(() => {
      this.#store.addOutput(n + 1, texts, place);
      if (place.told > TOLD_CHARS) return;
      for (const [stream, text] of Object.entries(texts)) {
        if (text !== "") this.#tell("output", { step: n + 1, stream, text });
      }
    });
  }

  #closeStep(n: number, end: Pick<BuildLogEntry, "exit" | "ok" | "elapsedMs">, event: BuildEvent): void {
    this.#send(event, () => {
      this.#store.closeStep(n + 1, end);
      this.#tell("step_end", { step: n + 1, exit: end.exit, ok: end.ok, elapsed_ms: end.elapsedMs });
    });
  }

  /** Part of a transaction. */
  #tell(type: string, data: object): void {
    this.#feed.push([this.#events.append(type, data, Date.now())]);
  }

  /** Ends the streams of those who have seen everything there will be. */
  #releaseReaders(): void {
    if (!this.#store.state || !isOver(this.#store.state)) return;
    for (const socket of this.ctx.getWebSockets()) {
      const reader = socket.deserializeAttachment() as { live?: boolean; after?: number } | null;
      if (reader?.live && (reader.after ?? 0) >= this.#events.newest) socket.close(1000, "the build is over");
    }
  }

  async #perform(effect: BuildEffect, seq: number): Promise<void> {
    const { order, state } = this.#store;
    if (!order || !state) return;
    await new BuildDirectory(this.ctx, this.env).perform(effect, seq, { order, state });
  }

  #arm(): void {
    const { state } = this.#store;
    arm(this.ctx, state && !isOver(state) ? Date.now() + LOOK_MS : null, this.#outbox.due());
  }
}
