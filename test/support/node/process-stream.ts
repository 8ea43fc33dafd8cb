import { ProcessLine, type ProcessRequest, type StartedProcess } from "#protocol/supervisor";
import type { TestSandbox } from "#test/node/agent";

/** One reader of a process's stream. It keeps what it was told, and checks that offsets leave nothing out unsaid. */
export class ProcessStream {
  readonly lines: ProcessLine[] = [];
  /** Resolves when the stream has ended or broken. */
  readonly ended: Promise<void>;
  readonly #leave: AbortController;
  #failure: unknown;
  #changed = Promise.withResolvers<void>();

  private constructor(response: Response, leave: AbortController) {
    this.#leave = leave;
    this.ended = this.#read(response).catch((error) => {
      this.#failure = error;
    });
  }

  static async open(sandbox: TestSandbox, method: "GET" | "POST", path: string, body?: object): Promise<ProcessStream> {
    const leave = new AbortController();
    const response = await sandbox.call(method, path, body && JSON.stringify(body), leave.signal);
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return new ProcessStream(response, leave);
  }

  /** Attaches to a process. */
  static attach(sandbox: TestSandbox, selector: string | number, query = ""): Promise<ProcessStream> {
    return ProcessStream.open(sandbox, "GET", `/processes/${encodeURIComponent(selector)}/stream${query}`);
  }

  /** Starts a process that lives as long as this reader stays. */
  static own(sandbox: TestSandbox, request: ProcessRequest): Promise<ProcessStream> {
    return ProcessStream.open(sandbox, "POST", "/processes?owned=stream", request);
  }

  get start() {
    return this.lines.find((line) => line.type === "start");
  }

  get exit() {
    return this.lines.find((line) => line.type === "exit");
  }

  /** What was told of one stream, or of all. */
  bytes(stream?: "stdout" | "stderr" | "tty"): Buffer {
    const data = this.lines.filter((line) => line.type === "data");
    const told = data.filter((line) => !stream || line.stream === stream);
    return Buffer.concat(told.map((line) => Buffer.from(line.data, "base64")));
  }

  text(stream?: "stdout" | "stderr" | "tty"): string {
    return this.bytes(stream).toString("utf8");
  }

  /** Waits until something holds of what was told; fails when the stream ends before. */
  async until(what: string, holds: (stream: this) => boolean): Promise<this> {
    let over = false;
    void this.ended.then(() => {
      over = true;
      this.#changed.resolve();
    });
    while (!holds(this)) {
      if (over)
        throw new Error(
          `the stream ended before: ${what} (${this.#failure})\n${JSON.stringify(this.lines).slice(-2000)}`,
        );
      await this.#changed.promise;
    }
    return this;
  }

  /** Waits for the end, which must be an exit. */
  async whole(): Promise<this> {
    await this.until("the exit", ({ exit }) => exit !== undefined);
    await this.ended;
    return this;
  }

  leave(): void {
    this.#leave.abort();
  }

  async #read(response: Response): Promise<void> {
    let at: number | undefined;
    for await (const text of linesOf(response)) {
      const line = ProcessLine.parse(JSON.parse(text));
      if (line.type === "start") at = line.offset;
      if (line.type === "gap" || line.type === "data") {
        const from = line.type === "gap" ? line.from : line.offset;
        if (from !== at) throw new Error(`offset ${from} follows ${at}`);
        at = line.type === "gap" ? line.to : from + Buffer.from(line.data, "base64").length;
      }
      this.lines.push(line);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

/** Only a line feed ends a line. */
async function* linesOf(response: Response): AsyncGenerator<string> {
  let rest = "";
  for await (const text of response.body!.pipeThrough(
    new TextDecoderStream() as never,
  ) as never as AsyncIterable<string>) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** Starts a process in the background. */
export async function startProcess(sandbox: TestSandbox, request: ProcessRequest): Promise<StartedProcess> {
  const { status, body } = await sandbox.json("POST", "/processes", request);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body as unknown as StartedProcess;
}
