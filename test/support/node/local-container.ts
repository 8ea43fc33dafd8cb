import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bundleSandboxPrograms } from "#scripts/lib/bundle";
import { freePort } from "#scripts/lib/free-port";
import { openFolder } from "#test/node/open-folder";

/** Nobody else on the machine has this user. */
const SANDBOX_USER = 65_333;

/** Reaps what is orphaned, as the first process of a container does. */
const FIRST_PROCESS = ["sh", "-c", '"$@" & wait', "sh"];

let programs: Promise<string> | undefined;

/** The bundled programs and a Node where any user can reach them, made once for all tests of a file. */
function programsOnce(): Promise<string> {
  programs ??= (async () => {
    const folder = openFolder("programs");
    await bundleSandboxPrograms(folder);
    copyFileSync(process.execPath, join(folder, "node"));
    chmodSync(join(folder, "node"), 0o755);
    return folder;
  })();
  return programs;
}

/**
 * What stands in for one container of the platform: the real agent in namespaces of its own, and a folder for its files. It
 * ends without a trace, as a container does.
 */
export class LocalContainer {
  readonly folder = openFolder("container");
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  readonly #programs: string;
  readonly #port: number;

  private constructor(programs: string, port: number) {
    this.#programs = programs;
    this.#port = port;
  }

  static async create(): Promise<LocalContainer> {
    return new LocalContainer(await programsOnce(), await freePort());
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves when the agent that runs now has ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Starts the agent; whether it serves yet is for the caller to ask. */
  start(env: Record<string, string>): void {
    const args = [
      "--user",
      SANDBOX_USER,
      "--workspace",
      join(this.folder, "workspace"),
      "--state",
      join(this.folder, "state"),
    ];
    const child = spawn(
      "unshare",
      [
        ...["--pid", "--ipc", "--fork", "--mount-proc", "--kill-child", ...FIRST_PROCESS, join(this.#programs, "node")],
        ...[join(this.#programs, "container-agent.mjs"), ...args, "--listen", "127.0.0.1", "--port", this.#port].map(
          String,
        ),
      ],
      { env: { ...env, PATH: process.env.PATH }, stdio: ["ignore", "ignore", "inherit"] },
    );
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("close", () => {
        if (this.#child === child) this.#child = undefined;
        resolve();
      });
    });
  }

  /** As the Workers runtime does, a body of known length is sent with that. */
  async fetch(request: Request): Promise<Response> {
    const { method, headers, signal } = request;
    const { pathname, search } = new URL(request.url);
    const isStream = pathname.includes("/supervisor/");
    const body = request.body === null ? null : isStream ? request.body : await request.arrayBuffer();
    const init = { method, headers, signal, body, ...(isStream && { duplex: "half" as const }) };
    return fetch(`http://127.0.0.1:${this.#port}${pathname}${search}`, init);
  }

  /** Copies the container's files, or its workspace alone, away. */
  copy(part: "workspace" | "."): string {
    const copy = openFolder("saved");
    if (existsSync(join(this.folder, part))) copyAll(join(this.folder, part), copy);
    return copy;
  }

  /** Puts a copy where it was taken. */
  put(copy: string, part: "workspace" | "."): void {
    mkdirSync(join(this.folder, part), { recursive: true });
    copyAll(copy, join(this.folder, part));
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true, mode: 0o755 });
  }
}

/** Owners, modes, times and links included. */
const copyAll = (from: string, to: string) => execFileSync("cp", ["-a", `${from}/.`, to]);
