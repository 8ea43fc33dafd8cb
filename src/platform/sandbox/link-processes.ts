import type { ProcessLink, ProcessStream } from "#domain/process/ports";
import { Fault } from "#kernel/fault";
import { readAnswer } from "#platform/sandbox/agent-client";
import type { Call, LinkCalls } from "#platform/sandbox/link-calls";
import { LinkWatch } from "#platform/sandbox/link-watch";
import { readProcessLines } from "#platform/sandbox/process-lines";
import {
  type KillSignal,
  MAX_TAG_LENGTH,
  type ProcessInfo,
  ProcessList,
  type ProcessRequest,
  StartedProcess,
  type TerminalSize,
} from "#protocol/supervisor";

/** Times that a stream may be passed over: it says something every twenty seconds. */
const PATIENCE = 2;

/** The processes of one sandbox, through its host agent. */
export class HostProcesses implements ProcessLink {
  readonly #calls: LinkCalls;

  constructor(calls: LinkCalls) {
    this.#calls = calls;
  }

  async ready(): Promise<void> {
    await (await this.#calls.get("/health")).body?.cancel();
  }

  async start(request: ProcessRequest): Promise<StartedProcess> {
    return readAnswer(await this.#calls.post("/processes", request), StartedProcess);
  }

  async list(): Promise<ProcessInfo[]> {
    return (await readAnswer(await this.#calls.get("/processes"), ProcessList)).processes;
  }

  async kill(selector: string, signal: KillSignal): Promise<void> {
    await this.#calls.call({ method: "DELETE", path: pathOf(selector), query: { signal } });
  }

  own(request: ProcessRequest, signal: AbortSignal): ProcessStream {
    const body = JSON.stringify(request);
    return this.#follow({ method: "POST", path: "/processes", query: { owned: "stream" }, body }, signal, true);
  }

  attach(selector: string, after: number | "now", signal: AbortSignal): ProcessStream {
    return this.#follow(
      { method: "GET", path: `${pathOf(selector)}/stream`, query: { after }, repeatable: true },
      signal,
      false,
    );
  }

  async write(selector: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#calls.call({ method: "POST", path: `${pathOf(selector)}/input`, body: bytes });
  }

  async resize(selector: string, size: TerminalSize): Promise<void> {
    await this.#calls.post(`${pathOf(selector)}/resize`, size);
  }

  /** Whoever only reads along uses the sandbox when they begin to; a command that its stream owns does until it ends. */
  async *#follow(call: Call, signal: AbortSignal, inUse: boolean): ProcessStream {
    const watch = new LinkWatch(this.#calls, { patience: PATIENCE, inUse });
    const left = new AbortController();
    const over = AbortSignal.any([signal, watch.signal, left.signal]);
    try {
      const { body } = await this.#calls.call({ ...call, signal: over, onRoute: watch.start });
      if (!body) throw new Fault("sandbox_failed", "the host sent no stream");
      for await (const line of readProcessLines(body, over)) {
        watch.heard();
        yield line;
        if (line.type === "exit") return;
      }
    } finally {
      watch.end();
      left.abort(new Fault("host_lost", "the reader has left"));
    }
  }
}

/** A selector that no tag can be names nothing, and would not survive in a path. */
function pathOf(selector: string): string {
  if (selector === "." || selector === ".." || selector.length > MAX_TAG_LENGTH || !selector.isWellFormed()) {
    throw new Fault("process_not_found", "no such process");
  }
  return `/processes/${encodeURIComponent(selector)}`;
}
