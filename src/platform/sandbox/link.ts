import type { SandboxLink } from "#domain/sandbox/ports";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { readAnswer, StaleLease } from "#platform/sandbox/agent-client";
import type { LinkCalls } from "#platform/sandbox/link-calls";
import { HostProcesses } from "#platform/sandbox/link-processes";
import { LinkWatch } from "#platform/sandbox/link-watch";
import { Sending } from "#platform/sandbox/sending";
import {
  EXEC_LIMITS,
  ExecResult,
  FileList,
  FileStat,
  FileTree,
  GlobResult,
  LIMIT_HEADER,
  RemovedEntry,
} from "#protocol/supervisor";

/** What an answer may take beyond the time a command was given. */
const EXEC_GRACE_MS = 10 * SECOND;

/** The inside of one sandbox, through its host agent. */
export class HostLink implements SandboxLink {
  readonly processes: HostProcesses;
  readonly #calls: LinkCalls;

  constructor(calls: LinkCalls) {
    this.#calls = calls;
    this.processes = new HostProcesses(calls);
  }

  async exec(request: Parameters<SandboxLink["exec"]>[0], signal?: AbortSignal): Promise<ExecResult> {
    const watch = new LinkWatch(this.#calls);
    try {
      const response = await this.#calls.call({
        method: "POST",
        path: "/exec",
        body: JSON.stringify(request),
        deadlineMs: request.timeoutMs === undefined ? null : request.timeoutMs + EXEC_GRACE_MS,
        signal: signal ? AbortSignal.any([signal, watch.signal]) : watch.signal,
        onRoute: watch.start,
      });
      const limit = EXEC_LIMITS.find((name) => name === response.headers.get(LIMIT_HEADER));
      return { ...(await readAnswer(response, ExecResult)), ...(limit && { limit }) };
    } catch (error) {
      if (!signal?.aborted) throw watch.paused ? pausedMeanwhile() : error;
      await this.kill(request.execId);
      throw signal.reason;
    } finally {
      watch.end();
    }
  }

  async kill(execId: string): Promise<void> {
    await this.#calls.deleteIfRunning(`/exec/${encodeURIComponent(execId)}`).catch(unlessDead);
  }

  async stat(path: string): Promise<FileStat> {
    return readAnswer(await this.#calls.get("/files/stat", { path }), FileStat);
  }

  async list(path: string, page: Parameters<SandboxLink["list"]>[1]): Promise<FileList> {
    return readAnswer(await this.#calls.get("/files/list", { path, ...page }), FileList);
  }

  async tree(path: string, depth: number, limit: number): Promise<FileTree> {
    return readAnswer(await this.#calls.get("/files/tree", { path, depth, limit }), FileTree);
  }

  async read(path: string, maxBytes?: number): ReturnType<SandboxLink["read"]> {
    const response = await this.#calls.get("/files/content", { path, maxBytes });
    const header = response.headers.get("x-file-stat") ?? "";
    const stat = FileStat.safeParse(fromHeader(header));
    if (!stat.success) throw new Fault("sandbox_failed", "the host sent a file without saying what it is");
    return { stat: stat.data, body: response.body ?? new Blob([]).stream() };
  }

  async write(
    path: string,
    body: ReadableStream<Uint8Array> | Uint8Array | string,
    options: Parameters<SandboxLink["write"]>[2],
  ): Promise<FileStat> {
    const call = { method: "PUT", path: "/files/content", query: { path, ...options } } as const;
    if (!(body instanceof ReadableStream)) return readAnswer(await this.#calls.call({ ...call, body }), FileStat);
    // A stream can be sent once, so the sandbox is woken before it is touched.
    await this.#calls.get("/health");
    // Its sender sets the pace, so it may take any time for as long as the host is there.
    const [watch, sending] = [new LinkWatch(this.#calls), new Sending(body)];
    const signal = AbortSignal.any([watch.signal, sending.signal]);
    const unhurried = { deadlineMs: null, signal, onRoute: watch.start, onAnswer: sending.answered };
    try {
      return await readAnswer(await this.#calls.call({ ...call, ...unhurried, body: sending.body }), FileStat);
    } finally {
      watch.end();
    }
  }

  async mkdir(path: string, parents: boolean, exclusive?: boolean): Promise<FileStat> {
    return readAnswer(await this.#calls.post("/files/mkdir", { path, parents, exclusive }), FileStat);
  }

  async move(source: string, target: string, overwrite: boolean): Promise<FileStat> {
    return readAnswer(await this.#calls.post("/files/move", { source, target, overwrite }), FileStat);
  }

  async remove(path: string, recursive: boolean): ReturnType<SandboxLink["remove"]> {
    return readAnswer(
      await this.#calls.call({ method: "DELETE", path: "/files", query: { path, recursive } }),
      RemovedEntry,
    );
  }

  async glob(pattern: string, path: string, limit: number): Promise<GlobResult> {
    return readAnswer(await this.#calls.get("/files/glob", { pattern, path, limit }), GlobResult);
  }
}

const pausedMeanwhile = () => new Fault("sandbox_not_running", "the sandbox was paused while the command ran");

function fromHeader(header: string): unknown {
  try {
    return JSON.parse(decodeURIComponent(header));
  } catch {
    return undefined;
  }
}

/** A command the supervisor does not know has ended, and so has every command of a sandbox that does not run. */
function unlessDead(error: unknown): void {
  const dead = error instanceof StaleLease || (error instanceof Fault && error.code === "conflict");
  if (!dead) throw error;
}
