import {
  type AttemptEnd,
  dueAt,
  type SessionEffect,
  type SessionMachineEvent,
  type SessionState,
  step,
} from "#domain/session/machine";
import type { SendInput, SendReceipt } from "#domain/session/ports";
import { queuedRun } from "#domain/session/queued-run";
import type { QueueItem, Session } from "#domain/session/values";
import { ok, type Result, refuse, unwrap } from "#kernel/fault";
import { createLog, type Log } from "#kernel/log";
import { SECOND } from "#kernel/time";
import { Feed } from "#objects/kit/feed";
import { AlarmClock } from "#objects/session/alarm-clock";
import { LiveAnswer } from "#objects/session/answer";
import { type Engine, engines } from "#objects/session/engine";
import { EventLog } from "#objects/session/event-log";
import { RunJournal } from "#objects/session/journal";
import { MessageStore } from "#objects/session/messages";
import { Prompts } from "#objects/session/prompts";
import { Publisher } from "#objects/session/publisher";
import { Reads } from "#objects/session/reads";
import { Recorder, type Records } from "#objects/session/recorder";
import { Runner } from "#objects/session/runner";
import { StepStore } from "#objects/session/steps";
import { SessionStore } from "#objects/session/store";
import { ToolLedger } from "#objects/session/tool-ledger";
import type { SessionEvent } from "#protocol/session-feed";

/** How often the object looks after its active run. */
const HEARTBEAT_MS = 5 * SECOND;
/** When changes that were not published in the usual way are published by the alarm. */
const PUBLISH_BACKUP_MS = 2 * SECOND;
/** How often a long run shows the directory that it is alive. */
const REPUBLISH_MS = 60 * SECOND;

/** A session with its storage open: feeds the machine, stores what follows, and runs the loop. */
export class LiveSession {
  readonly records: Records;
  readonly reads: Reads;
  readonly feed: Feed<SessionEvent>;
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly #log: Log;
  readonly #recorder: Recorder;
  readonly #publisher: Publisher;
  readonly #runner: Runner;
  readonly #clock: AlarmClock;
  #engine: Engine | null = null;
  /** Loops to start or stop once the transaction is stored, and the tool calls that runs leave behind as they end. */
  #after: SessionEffect[] = [];
  #leftBehind: string[] = [];
  #publishedAt = 0;
  #closed = false;

  constructor(ctx: DurableObjectState, env: Env, onGone: () => void) {
    this.#ctx = ctx;
    this.#env = env;
    this.#log = createLog(env.LOG_LEVEL, { object: "session", id: ctx.id.name ?? ctx.id.toString() });
    const store = new SessionStore(ctx.storage, () => ctx.abort("the session's storage cannot be read"));
    const events = new EventLog(store, (fresh) => this.feed.push(fresh));
    this.feed = new Feed(ctx, () => events);
    const messages = new MessageStore(store);
    const steps = new StepStore(store);
    const answer = new LiveAnswer(store, messages, events, this.#log);
    const tools = new ToolLedger(messages, steps, events);
    this.records = { store, messages, steps, events, answer, tools, prompts: new Prompts(store) };
    this.reads = new Reads(this.records);
    this.#recorder = new Recorder(this.records);
    this.#publisher = new Publisher(env.DB, store, this.#log, onGone);
    this.#runner = new Runner(
      this.#log,
      () => ctx.storage.sync(),
      (runId, attempt, end) => this.#attemptEnded(runId, attempt, end),
    );
    this.#clock = new AlarmClock(ctx.storage, () => this.#due());
    store.attach({
      reload: () => {
        this.#after = [];
        this.#leftBehind = [];
      },
      committed: () => {
        this.#clock.arm();
        this.#publisher.schedule();
      },
    });
    store.reload();
  }

  get known(): boolean {
    return this.records.store.session !== null;
  }

  get session(): Session {
    const { session } = this.records.store;
    if (!session) throw new Error("the object has no session");
    return session;
  }

  adopt(session: Session): void {
    if (this.known) return;
    this.records.store.transaction(() => {
      this.records.store.session = session;
    });
  }

  send(input: SendInput): Result<SendReceipt> {
    const { store, messages } = this.records;
    const { idempotency } = input;
    const known = idempotency && store.receipt(idempotency.key);
    if (known && known.fingerprint !== idempotency.fingerprint) {
      return refuse("idempotency_mismatch", "the key was used with another request");
    }
    if (known) return ok(known.receipt);
    const now = Date.now();
    const runId = store.nextRunId(this.session.id);
    const messageId = messages.reserve();
    const event = { type: "send", runId, messageId, whenBusy: input.whenBusy } as const;
    const stepped = step(store.state, event, now, this.#limits());
    if (!stepped.ok) return stepped;
    const direct = store.state.active === null;
    const queuedPosition = direct ? null : store.state.pending.length + 1;
    const receipt = this.#transact(() => {
      const { content, metadata } = input;
      const message = messages.insert({ ...FROM_USER, runId, content, metadata }, now, {
        id: messageId,
        waiting: !direct,
      });
      store.putRun(queuedRun(this.session, { id: runId, messageId, initiatorRef: input.subject, createdAt: now }));
      const stored: SendReceipt = {
        messageId,
        runId,
        delivery: direct ? "active_run" : "session_queue",
        queuedPosition,
        createdAt: message.createdAt,
      };
      if (idempotency) store.keepReceipt(idempotency.key, idempotency.fingerprint, stored, now);
      this.#apply(stepped.value, now);
      return stored;
    });
    return ok(receipt);
  }

  queue(): QueueItem[] {
    return this.#recorder.queueItems(this.records.store.state.pending);
  }

  /** Answers when the processes of a running run are dead, or after a second. */
  async cancel(runId: string): Promise<Result<null>> {
    const run = this.reads.run(runId);
    if (!run.ok) return run;
    this.#react({ type: "cancel", runId });
    await this.#runner.quiet();
    return ok(null);
  }

  async guide(runId: string): Promise<Result<null>> {
    const run = this.reads.run(runId);
    if (!run.ok) return run;
    if (run.value.triggerType !== "message")
      return refuse("queued_run_not_found", "the run does not wait for its turn");
    this.#react({ type: "guide", runId });
    await this.#runner.quiet();
    return ok(null);
  }

  /** Takes up what a restart interrupted. Failures wait for the next alarm. */
  wake(): void {
    try {
      if (!this.known) return;
      const { active } = this.records.store.state;
      if (active && !this.#runner.works(active.runId, active.attempt)) this.#react({ type: "resumed" });
      else this.#react({ type: "tick" });
    } catch (error) {
      this.#log.error("waking a session failed, will retry", { error });
      this.#clock.retry();
    }
  }

  alarm(): void {
    this.#clock.fired();
    try {
      this.#beat();
      this.wake();
    } catch (error) {
      this.#log.error("the alarm of a session failed, will retry", { error });
    } finally {
      this.#clock.rearm();
    }
    // Not awaited: a directory that hangs must not hold up deadlines, and no other alarm comes before this one ends.
    this.#ctx.waitUntil(this.#publisher.publish().catch(this.#publisher.failed));
  }

  /** Stops everything; the object's storage is about to go. */
  async close(reason: string): Promise<void> {
    this.#closed = true;
    this.#clock.stop();
    const { active } = this.records.store.state;
    this.#publisher.stop();
    this.feed.closeAll(4404, reason);
    if (active) this.#stopLoop(active.runId, active.attempt);
    this.#runner.drop();
    await this.#runner.quiet();
  }

  #beat(): void {
    const { store } = this.records;
    const { active } = store.state;
    if (!active) return;
    const now = Date.now();
    const publish = now - this.#publishedAt >= REPUBLISH_MS;
    if (publish) this.#publishedAt = now;
    store.transaction(() => store.patchRun(active.runId, { heartbeatAt: now }, publish));
  }

  #attemptEnded(runId: string, attempt: number, end: AttemptEnd): void {
    if (this.#closed) return;
    try {
      this.#react({ type: "ended", runId, attempt, end });
    } catch (error) {
      this.#log.error("the end of an attempt was not stored, will retry", { runId, error });
      this.#clock.retry();
    }
  }

  #react(event: Exclude<SessionMachineEvent, { type: "send" }>): void {
    const { store } = this.records;
    const now = Date.now();
    this.#transact(() => this.#apply(unwrap(step(store.state, event, now, this.#limits())), now));
  }

  /** Stores the machine's new state with what follows from it; part of a transaction. */
  #apply({ state, effects }: { state: SessionState; effects: SessionEffect[] }, now: number): void {
    this.records.store.state = state;
    for (const effect of effects) {
      if (effect.type === "ended") this.#leftBehind.push(...this.records.tools.inFlight(effect.runId));
      this.#recorder.apply(effect, now);
      if (effect.type === "started" || effect.type === "resumed" || effect.type === "abort") this.#after.push(effect);
    }
  }

  /** One storage transaction, then the loops it starts and stops, the alarm and the directory. */
  #transact<T>(work: () => T): T {
    const value = this.records.store.transaction(work);
    const leftBehind = this.#leftBehind.splice(0);
    if (leftBehind.length > 0) this.#runner.kill(this.#theEngine(), leftBehind);
    for (const effect of this.#after.splice(0)) {
      if (effect.type === "abort") this.#stopLoop(effect.runId, effect.attempt);
      if (effect.type === "started" || effect.type === "resumed") this.#startLoop(effect.runId, effect.attempt);
    }
    return value;
  }

  #startLoop(runId: string, attempt: number): void {
    const run = this.records.store.run(runId);
    if (!run) return;
    const journal = new RunJournal(runId, attempt, this.records, (event) => {
      const now = Date.now();
      this.#apply(unwrap(step(this.records.store.state, event, now, this.#limits())), now);
    });
    this.#runner.start(this.#theEngine(), run, journal);
  }

  #stopLoop(runId: string, attempt: number): void {
    this.#runner.abort(runId, attempt);
    this.#runner.kill(this.#theEngine(), this.records.tools.inFlight(runId));
  }

  #theEngine(): Engine {
    this.#engine ??= engines.create(this.#env, this.session);
    return this.#engine;
  }

  #limits() {
    return { runTimeoutMs: this.#theEngine().runTimeoutMs };
  }

  #due(): (number | null)[] {
    const { store } = this.records;
    const now = Date.now();
    return [
      store.state.active ? now + HEARTBEAT_MS : null,
      dueAt(store.state),
      store.hasUnpublished ? now + PUBLISH_BACKUP_MS : null,
    ];
  }
}

const FROM_USER = { role: "user", origin: "user", mode: "prompt" } as const;
