import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import type { Journal, Outcome, ToolCall } from "#domain/session/journal";
import type { SendInput, SendReceipt, SessionHandle } from "#domain/session/ports";
import { insertSession } from "#domain/session/repo";
import { isTerminal, type Run, type RunStatus, type Session } from "#domain/session/values";
import { newId } from "#kernel/id";
import { type Engine, engines } from "#objects/session/engine";
import { sessionPort } from "#platform/session/port";
import { type SessionEvent, SessionFrame } from "#protocol/session-feed";

type Attempt = Parameters<Engine["run"]>[0];
type Script = (attempt: Attempt, words: string[]) => Promise<Outcome>;

export const tick = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves once `probe` answers something that is not false; the condition's own deadline is ten seconds. */
export async function until<T>(probe: () => Promise<T | false | undefined> | T | false | undefined): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error("the condition did not come true in time");
    await tick(5);
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });

function answer(journal: Journal, text: string): Outcome {
  journal.modelCallStarted({ model: "test/script", agentName: "assistant", request: {} });
  for (const piece of text.match(/.{1,3}/g) ?? []) journal.delta(piece);
  journal.modelCallFinished({ text, reasoning: "", toolCalls: [], finishReason: "stop", usage: { totalTokens: 1 } });
  return { type: "completed" };
}

const ABOUT = { source: "native", retry: "manual" } as const;
export const CALL: ToolCall = { type: "tool-call", toolCallId: "call_1", toolName: "Bash", input: { command: "ls" } };

async function withTool({ journal, signal, run }: Attempt, hang: boolean): Promise<Outcome> {
  const progress = journal.progress();
  if (progress.modelCalls === 0) {
    journal.modelCallStarted({ model: "test/script", agentName: "assistant", request: {} });
    journal.delta("looking");
    await tick();
    const asked = { text: "looking", reasoning: "", toolCalls: [CALL], finishReason: "tool-calls", usage: {} };
    journal.modelCallFinished(asked);
  }
  for (const { call, begun } of journal.progress().openCalls) {
    if (!begun) journal.toolStarted(call, ABOUT);
    effects.push(`${run.id}:${call.toolCallId}`);
    if (hang) await aborted(signal);
    await tick();
    const output = { type: "text", value: "a.txt" } as const;
    journal.toolFinished(call, { output, durationMs: 1, failure: null }, ABOUT);
  }
  return journal.progress().finished ? { type: "completed" } : answer(journal, "done");
}

/** Effects the scripted tools had, by run and call. */
export const effects: string[] = [];
/** Effect keys the engine was asked to kill. */
export const killed: string[] = [];
/** Runs in the order their loops began. */
export const begun: string[] = [];

/** What a run does is the first word of its message. */
const SCRIPTS: Record<string, Script> = {
  say: async ({ journal }, words) => {
    await tick();
    return journal.progress().finished ? { type: "completed" } : answer(journal, words.join(" "));
  },
  tool: (attempt) => withTool(attempt, false),
  "hang-in-tool": (attempt) => withTool(attempt, true),
  hang: async ({ journal, signal }, words) => {
    journal.modelCallStarted({ model: "test/script", agentName: "assistant", request: {} });
    journal.delta(words.join(" "));
    return aborted(signal);
  },
  deaf: () => new Promise<never>(() => {}),
  crash: async () => {
    await tick();
    throw new Error("the script crashes");
  },
  fail: async () => ({ type: "failed", code: "model_stream_failed", message: "no such model" }),
};

let runTimeoutMs: number | null = null;
export function limitRuns(ms: number | null): void {
  runTimeoutMs = ms;
}

/** Puts the scripted engine in place of the real one; scripts of a test may be added. */
export function scriptEngine(more: Record<string, Script> = {}): void {
  engines.create = () => ({
    get runTimeoutMs() {
      return runTimeoutMs;
    },
    run: (attempt) => {
      begun.push(attempt.run.id);
      const message = attempt.journal.history().find(({ id }) => id === attempt.run.triggerRef);
      const [name = "", ...words] = String(message?.content).split(" ");
      const script = more[name] ?? SCRIPTS[name];
      if (!script) throw new Error(`no script is called ${name}`);
      return script(attempt, words);
    },
    kill: async (key) => void killed.push(key),
  });
}

/** A session of a fresh team, in the directory and in its object. */
export class TestSession {
  readonly session: Session;
  readonly handle: SessionHandle;

  constructor(session: Session) {
    this.session = session;
    this.handle = sessionPort(env).session(session.id);
  }

  static async open(): Promise<TestSession> {
    const now = Date.now();
    const session: Session = {
      id: newId("session", now),
      teamId: newId("team", now),
      workspaceId: newId("workspace", now),
      sandboxId: newId("sandbox", now),
      parentSessionId: null,
      subjectRef: "user:test",
      agentName: null,
      activeAgentName: "assistant",
      modelRef: null,
      title: null,
      status: "active",
      createdAt: now,
      updatedAt: now,
      lastRunAt: null,
    };
    const test = new TestSession(session);
    await insertSession(drizzle(env.DB), session);
    await test.handle.adopt(session);
    return test;
  }

  get team(): string {
    return this.session.teamId;
  }
  get stub() {
    return env.SESSION.getByName(this.session.id);
  }

  input(content: string, more: Partial<SendInput> = {}): SendInput {
    const { team: teamId } = this;
    return { teamId, subject: "user:test", content, metadata: null, whenBusy: "queue", idempotency: null, ...more };
  }

  async send(content: string, more: Partial<SendInput> = {}): Promise<SendReceipt> {
    const sent = await this.handle.send(this.input(content, more));
    if (!sent.ok) throw new Error(`${sent.code}: ${sent.message}`);
    return sent.value;
  }

  async run(id: string): Promise<Run> {
    const run = await this.handle.getRun(this.team, id);
    if (!run.ok) throw new Error(run.code);
    return run.value;
  }

  /** The run once it has one of the statuses; any terminal one without any. */
  runIs(id: string, ...statuses: RunStatus[]): Promise<Run> {
    return until(async () => {
      const run = await this.run(id);
      return (statuses.length > 0 ? statuses.includes(run.status) : isTerminal(run.status)) && run;
    });
  }

  async messages() {
    const page = await this.handle.listMessages(this.team, { limit: 1_000, direction: "forward", after: null });
    if (!page.ok) throw new Error(page.code);
    return page.value.items;
  }

  /** The whole event log, read through the feed. */
  async events(runId: string | null = null): Promise<SessionEvent[]> {
    const reader = await this.feed(-1, runId);
    await until(() => reader.live);
    reader.socket.close();
    return reader.events;
  }

  async feed(after = -1, runId: string | null = null) {
    const response = await this.handle.openFeed({ teamId: this.team, after, runId });
    const socket = response.webSocket;
    if (!socket) throw new Error(`no socket, status ${response.status}`);
    const reader = { socket, events: [] as SessionEvent[], frames: 0, live: false, closed: null as number | null };
    socket.addEventListener("message", ({ data }) => {
      const frame = SessionFrame.parse(JSON.parse(String(data)));
      reader.frames++;
      reader.events.push(...frame.events);
      reader.live ||= frame.live;
      const last = reader.events.at(-1)?.seq ?? after;
      if (!frame.live) socket.send(JSON.stringify({ v: 1, type: "more", after: last }));
    });
    socket.addEventListener("close", ({ code }) => {
      reader.closed = code;
    });
    socket.accept();
    return reader;
  }
}
