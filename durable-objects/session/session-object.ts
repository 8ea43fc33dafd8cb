import { DurableObject } from "cloudflare:workers";
import type { MessagePage, SendInput, SendReceipt } from "#domain/session/ports";
import type { Message, QueueItem, Run, RunStep, Session } from "#domain/session/values";
import { ok, type Result, refuse } from "#kernel/fault";
import type { OffsetPage, Page } from "#kernel/page";
import { migrate } from "#objects/kit/migrate";
import { LiveSession } from "#objects/session/live-session";
import { SESSION_TABLES } from "#objects/session/tables";
import { fromWire, toWire, type Wire } from "#platform/session/wire";

const NOT_FOUND = refuse("session_not_found", "session not found");

/** One agent session: its messages, runs, steps, queue, event log and agent loop. A shell around `LiveSession`. */
export class SessionObject extends DurableObject<Env> {
  #live: LiveSession | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // An object that was only asked for, and never given a session, stores nothing.
    const tables = ctx.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").toArray();
    if (tables.length === 0) return;
    const live = this.#open();
    live.wake();
    void live.feed.catchUp();
  }

  async adopt(session: Session): Promise<void> {
    (this.#live ?? this.#open()).adopt(session);
  }

  async get(teamId: string): Promise<Result<Session>> {
    return this.#with(teamId, (live) => ok(live.session));
  }

  async send(input: Wire<SendInput>): Promise<Result<SendReceipt>> {
    return this.#with(input.teamId, (live) => live.send(fromWire(input)));
  }

  async listMessages(teamId: string, page: MessagePage): Promise<Result<{ items: Wire<Message>[]; more: boolean }>> {
    return this.#with(teamId, (live) => {
      const { items, more } = live.reads.messages(page);
      return ok({ items: items.map((item) => toWire(item)), more });
    });
  }

  async getMessage(teamId: string, messageId: string): Promise<Result<Wire<Message>>> {
    return this.#with(teamId, (live) => {
      const message = live.reads.message(messageId);
      return message.ok ? ok(toWire(message.value)) : message;
    });
  }

  /** `queue` itself is the name of a Worker's own handler and cannot be called over RPC. */
  async listQueue(teamId: string): Promise<Result<QueueItem[]>> {
    return this.#with(teamId, (live) => ok(live.queue()));
  }

  async getRun(teamId: string, runId: string): Promise<Result<Run>> {
    return this.#with(teamId, (live) => live.reads.run(runId));
  }

  async listSteps(teamId: string, runId: string, page: OffsetPage): Promise<Result<Page<RunStep>>> {
    return this.#with(teamId, (live) => live.reads.steps(runId, page));
  }

  async cancel(teamId: string, runId: string): Promise<Result<null>> {
    return this.#with(teamId, (live) => live.cancel(runId));
  }

  async guide(teamId: string, runId: string): Promise<Result<null>> {
    return this.#with(teamId, (live) => live.guide(runId));
  }

  async destroy(teamId: string): Promise<Result<null>> {
    if (!this.#live?.known) return ok(null);
    return this.#with(teamId, async () => {
      await this.#forget();
      return ok(null);
    });
  }

  async nudge(): Promise<boolean> {
    this.#live?.wake();
    return this.#live?.known ?? false;
  }

  /** The upgrade of `openFeed`; 404 for a session the team has not. */
  override async fetch(request: Request): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const answer = await this.#with(query.get("team") ?? "", async (live) =>
      ok(await live.feed.accept({ after: Number(query.get("after") ?? -1), filter: query.get("run") })),
    );
    return answer.ok ? answer.value : new Response(null, { status: 404 });
  }

  override async alarm(): Promise<void> {
    this.#live?.alarm();
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    if (this.#live?.known) await this.#live.feed.receive(socket, data);
    else socket.close(1011, "session not found");
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // 1005 and 1006 stand for "no code" and may not be sent.
    socket.close(code === 1005 || code === 1006 ? 1000 : code, "");
  }

  /** The team check stands before everything a caller can do. */
  async #with<T>(teamId: string, work: (live: LiveSession) => Result<T> | Promise<Result<T>>): Promise<Result<T>> {
    const live = this.#live;
    if (!live?.known || live.session.teamId !== teamId) return NOT_FOUND;
    return work(live);
  }

  #open(): LiveSession {
    migrate(this.ctx.storage, SESSION_TABLES);
    const onGone = () => this.ctx.waitUntil(this.#forget());
    this.#live = new LiveSession(this.ctx, this.env, onGone);
    return this.#live;
  }

  async #forget(): Promise<void> {
    const live = this.#live;
    this.#live = null;
    await live?.close("the session was deleted");
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }
}
