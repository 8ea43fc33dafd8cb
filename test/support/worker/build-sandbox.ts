import { expect } from "vitest";
import type { ProcessLine, ProcessRequest } from "#protocol/supervisor";
import { onlyHost } from "#test/worker/capsules";
import { eventually } from "#test/worker/control";
import { type FakeAgent, supervisorRefusal } from "#test/worker/fake-agent";
import type { Answer } from "#test/worker/harness";
import type { Person } from "#test/worker/person";

/** What a command of a fake sandbox does: says something and ends, or goes on while it is held and nobody kills it. */
export type Script = { stdout?: string; stderr?: string; exit?: number; held?: () => boolean };

type Running = { request: ProcessRequest; lines: ProcessLine[]; script: Script; killed: boolean };
type Sent = { command: unknown; cwd?: string; env?: Record<string, string>; user?: string };

const lineOf = (stream: "stdout" | "stderr", offset: number, text: string): ProcessLine => ({
  ...{ type: "data", stream, offset },
  data: btoa(String.fromCharCode(...new TextEncoder().encode(text))),
});

/** A host on which commands do what a test says, as processes that are known by their tags. */
export class BuildSandbox {
  readonly agent: FakeAgent;
  /** Every command in order, of processes and brief ones alike. */
  readonly sent: Sent[] = [];
  readonly killed: string[] = [];
  /** Sizes of the files that were written, by their paths. */
  readonly files = new Map<string, number>();
  readonly #processes = new Map<string, Running>();
  /** What commands do that do not just succeed. */
  script: (command: string) => Script = () => ({});
  /** How often connections were cut. */
  #cuts = 0;

  private constructor(agent: FakeAgent) {
    this.agent = agent;
    agent.inside = (request, path) => this.#answer(request, path);
  }

  static async open(): Promise<BuildSandbox> {
    return new BuildSandbox(await onlyHost());
  }

  /** Commands as they were written, without what the build asks for itself. */
  get commands(): string[] {
    return this.sent.map(({ command }) => [command].flat().join(" ")).filter((line) => !line.startsWith("printf"));
  }

  /** Forgets a process, as a sandbox does some time after its end. */
  forget(tag: string): void {
    for (const key of this.#processes.keys()) if (key.endsWith(`/${tag}`)) this.#processes.delete(key);
  }

  /** Breaks every open stream, as a lost connection does. */
  cut(): void {
    this.#cuts++;
  }

  async #answer(request: Request, path: string): Promise<Response> {
    if (path === "/exec") return this.#exec((await request.json()) as Sent);
    if (path === "/processes") return this.#start(sandboxOf(request), (await request.json()) as ProcessRequest);
    if (path === "/health") return Response.json({ v: 1, pid: 1 });
    if (path.startsWith("/files/content")) return this.#write(request, path);
    const [, , tag = "", what] = path.split("/");
    const running = this.#processes.get(sandboxOf(request) + tag.split("?")[0]);
    if (!running) return supervisorRefusal("process_not_found");
    if (request.method === "DELETE") {
      this.killed.push(running.request.tag ?? "");
      running.killed = true;
      return new Response(null, { status: 204 });
    }
    expect(what).toMatch(/^stream/);
    return new Response(this.#stream(running, new URL(request.url).searchParams.get("after")));
  }

  async #write(request: Request, path: string): Promise<Response> {
    const name = new URLSearchParams(path.split("?")[1] ?? new URL(request.url).search).get("path") ?? "";
    this.files.set(name, (await request.arrayBuffer()).byteLength);
    const stat = { path: `/workspace/${name}`, name, kind: "file", size: 1, mtimeMs: 0, birthtimeMs: 0, mode: 420 };
    return Response.json({ ...stat, permissions: "", owner: "", group: "", etag: "", symlinkTarget: null });
  }

  async #exec(sent: Sent): Promise<Response> {
    this.sent.push(sent);
    const line = [sent.command].flat().join(" ");
    const told = line.startsWith("printf") ? { stdout: "/usr/bin:/bin\n/workspace" } : this.script(line);
    while (told.held?.()) await pause();
    const { stdout = "", stderr = "", exit: exitCode = 0 } = told;
    const rest = { encoding: "utf8", signal: null, timedOut: false, truncated: false, durationMs: 1 };
    return Response.json({ stdout, stderr, exitCode, ...rest });
  }

  #start(sandbox: string, request: ProcessRequest): Response {
    const { tag = "", user } = request;
    const key = sandbox + tag;
    if (user !== undefined && user !== "sandbox") return supervisorRefusal("not_supported");
    if (this.#processes.has(key)) return supervisorRefusal("conflict");
    this.sent.push(request as Sent);
    const script = this.script([request.command ?? ""].flat().join(" "));
    const { stdout, stderr } = script;
    const lines: ProcessLine[] = [{ type: "start", pid: 7, tag, offset: 0 }];
    if (stdout) lines.push(lineOf("stdout", 0, stdout));
    if (stderr) lines.push(lineOf("stderr", stdout?.length ?? 0, stderr));
    this.#processes.set(key, { request, lines, script, killed: false });
    return Response.json({ pid: 7, tag });
  }

  /** Nothing but plain values is shared with others: what one object waits for, another one cannot wake. */
  #stream(running: Running, after: string | null): ReadableStream<Uint8Array> {
    const encode = (line: ProcessLine) => new TextEncoder().encode(`${JSON.stringify(line)}\n`);
    const from = after === "now" ? Number.POSITIVE_INFINITY : Number(after ?? 0);
    const begun = this.#cuts;
    const isCut = () => this.#cuts !== begun;
    const wanted = running.lines.filter((line) => line.type !== "data" || line.offset >= from);
    return new ReadableStream({
      async pull(controller) {
        const line = wanted.shift();
        if (line) return controller.enqueue(encode(line));
        while (!running.killed && running.script.held?.() && !isCut()) await pause();
        if (isCut()) return controller.error(new Error("connection lost"));
        const exitCode = running.killed ? 137 : (running.script.exit ?? 0);
        controller.enqueue(encode({ type: "exit", exitCode, signal: null }));
        controller.close();
      },
    });
  }
}

/** Tags are those of one sandbox. */
const sandboxOf = (request: Request) => `${new URL(request.url).pathname.split("/")[3]}/`;

const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Waits until a build is as expected, and answers it. */
export const buildBecomes = (admin: Person, id: string, expected: object): Promise<Answer> =>
  eventually(async () => {
    const answer = await admin.call("GET", `/v1/admin/builds/${id}`);
    expect(answer.body, answer.text).toMatchObject(expected);
    return answer;
  });
