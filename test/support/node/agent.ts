import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentSandbox, NetworkPolicy, SandboxLimits } from "#protocol/host-agent";
import type { ExecRequest, ExecResult } from "#protocol/supervisor";
import { NODE_FLAGS } from "#sandbox/host-agent/flags";
import { bundleSandboxPrograms } from "#scripts/lib/bundle";
import { FakeControlPlane, type TokenOptions } from "#test/node/control-plane";
import { openFolder } from "#test/node/open-folder";

const ROOT = join(import.meta.dirname, "../../..");
/** Debian's "nobody": any user without rights will do. */
const ORDINARY_USER = 65_534;

export const LIMITS: SandboxLimits = { vcpus: 1, memoryMb: 256, diskMb: 256, pids: 64 };
export const isRoot = process.getuid?.() === 0;

/** Whether this machine has what a disk of a certain size takes: loop devices, and the tool that makes file systems. */
export const canLimitDisks =
  isRoot &&
  ["losetup -f", "mkfs.ext4 -V"].every(
    (line) => spawnSync(`PATH=$PATH:/usr/sbin:/sbin ${line}`, { shell: true }).status === 0,
  );

/** `bundled` runs the agent as it is shipped, which starts faster than its sources do. */
export type AgentOptions = {
  ordinaryUser?: boolean;
  bundled?: boolean;
  args?: string[];
  folder?: string;
  control?: FakeControlPlane;
  token?: string;
  /** Spare sandboxes that it keeps ready; none unless told, so that only what a test starts is there. */
  warm?: number;
};
type Body = NonNullable<RequestInit["body"]>;
type Ready = { hostId: string; address: string; isolation: string; unenforced: string[] };

/** Runs the real agent as its own process; what it prints is kept. */
export class TestAgent {
  readonly process: ChildProcess;
  readonly control: FakeControlPlane;
  readonly folder: string;
  readonly output: string[] = [];
  readonly exited: Promise<number | null>;
  ready: Ready = { hostId: "", address: "", isolation: "", unenforced: [] };

  constructor(process: ChildProcess, control: FakeControlPlane, folder: string) {
    this.process = process;
    this.control = control;
    this.folder = folder;
    this.exited = new Promise((resolve) => process.once("exit", resolve));
  }

  /** Starts an agent and waits until it is ready; one that gives up is an error with what it said. */
  static async start(options: AgentOptions = {}): Promise<TestAgent> {
    const agent = await TestAgent.launch(options);
    const ready = new Promise<Ready>((resolve, reject) => {
      for (const stream of [agent.process.stdout, agent.process.stderr]) {
        createInterface({ input: stream! }).on("line", (line) => {
          agent.output.push(line);
          if (line.startsWith('{"ready"')) resolve(JSON.parse(line));
        });
      }
      agent.process.once("close", (code) =>
        reject(new Error(`the agent gave up with exit code ${code}:\n${agent.output.join("\n")}`)),
      );
    });
    agent.ready = await ready;
    return agent;
  }

  /** Starts an agent without waiting for anything. */
  static async launch(options: AgentOptions): Promise<TestAgent> {
    const control = options.control ?? (await FakeControlPlane.start());
    const folder = options.folder ?? openFolder();
    const [node, program] = await programFor(options, folder);
    const state = join(folder, "state");
    mkdirSync(state, { recursive: true });
    if (options.ordinaryUser && isRoot) chownSync(state, ORDINARY_USER, ORDINARY_USER);
    const [command = "", ...rest] = [...asUser(options), node, ...NODE_FLAGS, program];
    const args = [
      "--control",
      control.url,
      "--token",
      options.token ?? "once",
      "--state",
      state,
      "--warm",
      String(options.warm ?? 0),
      ...(options.args ?? []),
    ];
    const child = spawn(command, [...rest, ...args], { stdio: ["ignore", "pipe", "pipe"], cwd: "/" });
    return new TestAgent(child, control, folder);
  }

  /** A call to the agent; the token is the one the control plane would send. */
  async call(method: string, path: string, options: TokenOptions & { body?: Body; token?: string } = {}) {
    const token = options.token ?? (await this.control.token(options));
    const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
    return fetch(`http://${this.ready.address}${path}`, { method, headers, body: options.body ?? null });
  }

  /** Starts a sandbox; `gen` is its generation. */
  async sandbox(id = "sb_1", limits: Partial<SandboxLimits> = {}, gen = 1, network: NetworkPolicy = "off") {
    const body = JSON.stringify({ limits: { ...LIMITS, ...limits }, network });
    const response = await this.call("PUT", `/v1/sandboxes/${id}`, { sandbox: id, act: "lifecycle", gen, body });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return new TestSandbox(this, id, gen, (await response.json()) as AgentSandbox);
  }

  async stop(): Promise<void> {
    this.process.kill("SIGTERM");
    await this.exited;
    await this.control.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Any answer of the supervisor: the fields a test looks at are checked by what it expects of them. */
type Answer = { code?: string; [field: string]: unknown };

let execCount = 0;

/** One sandbox behind an agent. */
export class TestSandbox {
  readonly agent: TestAgent;
  readonly id: string;
  readonly gen: number;
  readonly started: AgentSandbox;

  constructor(agent: TestAgent, id: string, gen: number, started: AgentSandbox) {
    this.agent = agent;
    this.id = id;
    this.gen = gen;
    this.started = started;
  }

  call(method: string, path: string, body?: Body, signal?: AbortSignal): Promise<Response> {
    return this.agent.control.token({ sandbox: this.id, gen: this.gen }).then((token) =>
      fetch(`http://${this.agent.ready.address}/v1/sandboxes/${this.id}/supervisor/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}` },
        body: body ?? null,
        ...(body instanceof ReadableStream && { duplex: "half" }),
        ...(signal && { signal }),
      }),
    );
  }

  /** A call whose answer is JSON. */
  async json(method: string, path: string, body?: Body | object): Promise<{ status: number; body: Answer }> {
    const isPlain = body !== undefined && body?.constructor === Object;
    const response = await this.call(method, path, (isPlain ? JSON.stringify(body) : body) as Body);
    return { status: response.status, body: (await response.json()) as Answer };
  }

  async exec(command: ExecRequest["command"], options: Partial<ExecRequest> = {}): Promise<ExecResult> {
    const request = { execId: `exec-${++execCount}`, command, ...options };
    const { status, body } = await this.json("POST", "/exec", request);
    if (status !== 200) throw new Error(`exec answered ${status} ${JSON.stringify(body)}`);
    return body as unknown as ExecResult;
  }

  write(path: string, content: Body, query = "&overwrite=true") {
    return this.json("PUT", `/files/content?path=${encodeURIComponent(path)}${query}`, content);
  }
}

/** Asks again until the answer is true, or fails after a while. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(20);
  }
}

/** Live processes of this machine whose command line or environment holds a word; zombies do not count. */
export function processesWith(word: string): number[] {
  const read = (path: string) => {
    try {
      return readFileSync(path, "latin1");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(`/proc/${pid}/cmdline`).includes(word) && !/^\S+ \(.*\) Z/.test(read(`/proc/${pid}/stat`)))
    .map(Number);
}

let bundle: Promise<string> | undefined;

/** The bundled agent, made once for all tests of a file. */
function bundledOnce(): Promise<string> {
  bundle ??= (async () => {
    const folder = openFolder();
    await bundleSandboxPrograms(folder);
    return join(folder, "host-agent.mjs");
  })();
  return bundle;
}

/** The Node and the agent that are run, which an ordinary user can reach where one runs them. */
async function programFor(options: AgentOptions, folder: string): Promise<[node: string, program: string]> {
  if (!options.ordinaryUser) {
    return [process.execPath, options.bundled ? await bundledOnce() : join(ROOT, "sandbox/host-agent/main.ts")];
  }
  await bundleSandboxPrograms(folder);
  const node = join(folder, "node");
  copyFileSync(process.execPath, node);
  chmodSync(node, 0o755);
  return [node, join(folder, "host-agent.mjs")];
}

const asUser = ({ ordinaryUser }: AgentOptions): string[] =>
  ordinaryUser && isRoot
    ? ["setpriv", `--reuid=${ORDINARY_USER}`, `--regid=${ORDINARY_USER}`, "--clear-groups", "--"]
    : [];
