import type { ProcessLine } from "#protocol/supervisor";
import type { FakeAgent } from "#test/worker/fake-agent";

const encoder = new TextEncoder();
const base64 = (data: string | Uint8Array): string => {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return btoa(String.fromCharCode(...bytes));
};

/** Not one that a test has replaced. */
const later = setTimeout;

/**
 * The stream of one process, told line by line by the test. What is told waits as plain data: a stream belongs to the
 * request that reads it, so it is made there, and looks for news by itself.
 */
export class FakeProcess {
  /** Whether its reader has left before the end. */
  left = false;
  readonly #told: Uint8Array[] = [];
  #over = false;
  #offset = 0;

  constructor({ pid = 42, tag = "proc-1" } = {}) {
    this.tell({ type: "start", pid, tag, offset: 0 });
  }

  /** To be made by the request that answers with it. */
  get response(): Response {
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
      while (this.#told.length === 0 && !this.#over && !this.left) await new Promise((resolve) => later(resolve, 5));
      const next = this.#told.shift();
      if (next) controller.enqueue(next);
      else if (!this.left) controller.close();
    };
    const cancel = () => {
      this.left = true;
    };
    return new Response(new ReadableStream({ pull, cancel }, { highWaterMark: 0 }));
  }

  /** How many lines nobody has read yet. */
  get unread(): number {
    return this.#told.length;
  }

  tell(line: ProcessLine): void {
    this.#told.push(encoder.encode(`${JSON.stringify(line)}\n`));
  }

  say(stream: "stdout" | "stderr" | "tty", data: string | Uint8Array): void {
    const encoded = base64(data);
    this.tell({ type: "data", stream, offset: this.#offset, data: encoded });
    this.#offset += atob(encoded).length;
  }

  exit(exitCode = 0, signal: string | null = null): void {
    this.tell({ type: "exit", exitCode, signal });
    this.#over = true;
  }

  /** The connection breaks off. */
  lose(): void {
    this.#over = true;
  }
}

type Answer = (request: Request, query: URLSearchParams) => Response | Promise<Response>;

/** Answers what is asked inside of a sandbox by method and path, and `ready`. */
export function inside(agent: FakeAgent, answers: Record<string, Answer>): void {
  agent.inside = (request, path) => {
    if (path === "/health") return Response.json({ v: 1, pid: 1 });
    const answer = answers[`${request.method} ${path}`];
    if (!answer) throw new Error(`nobody expected ${request.method} ${path}`);
    return answer(request, new URL(request.url).searchParams);
  };
}
