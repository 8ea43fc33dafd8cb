import { closeSync, constants as fileConstants, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { Readable } from "node:stream";
import { ReadStream } from "node:tty";
import type { TerminalSize } from "#protocol/supervisor";
import { TERMINAL_ADDON } from "../terminal-addon.ts";
import type { Launch, Launcher } from "./launch.ts";
import { Refusal } from "./refusal.ts";
import type { End, ProcessSource } from "./source.ts";
import { TerminalInput } from "./terminal-input.ts";

type Forked = { pid: number; fd: number; pty: string };
type OnExit = (code: number, signal: number) => void;
type UserAndMore = [uid: number, gid: number, utf8: boolean, helper: string, onExit: OnExit];

/** The native part of node-pty. Its other part loses output at the end, and may wait for input to be taken. */
type Native = {
  fork(
    ...of: [file: string, args: string[], env: string[], cwd: string, cols: number, rows: number, ...UserAndMore]
  ): Forked;
  resize(descriptor: number, cols: number, rows: number): void;
};

const OWN_USER = -1;
const NO_HELPER = "";
const CHUNK_BYTES = 64 * 1024;
/** What is still read after the end, should a child left behind never stop writing. */
const MOST_LATE_BYTES = 1024 * 1024;

/** Starts a process whose input and output are a terminal of its own. */
export function startTerminal(launcher: Launcher, launch: Launch, size: TerminalSize): ProcessSource {
  const native = load();
  const { file, args } = launcher.sealed(launch);
  const env = Object.entries(launch.env).map(([name, value]) => `${name}=${value}`);
  const ended = Promise.withResolvers<End>();
  let terminal: Terminal | undefined;
  const onExit = (code: number, signal: number) => {
    terminal?.finish();
    ended.resolve({ code, signal: signalName(signal) });
  };
  let forked: Forked;
  try {
    forked = native.fork(
      file,
      args,
      env,
      launch.cwd,
      size.cols,
      size.rows,
      OWN_USER,
      OWN_USER,
      true,
      NO_HELPER,
      onExit,
    );
  } catch {
    throw new Refusal("conflict", "the sandbox cannot run more terminals");
  }
  const { pid, fd, pty } = forked;
  terminal = new Terminal(fd, pty, launcher.noteInheritable(fd));
  const { output, input } = terminal;
  const resize = ({ cols, rows }: TerminalSize) => terminal.isOpen && native.resize(fd, cols, rows);
  return { pid, outputs: [{ stream: "tty", readable: output }], end: ended.promise, input, resize };
}

/** The master's side of one terminal. */
class Terminal {
  readonly output = new Readable({ read() {} });
  readonly input: TerminalInput;
  readonly #descriptor: number;
  readonly #stream: ReadStream;
  readonly #slave: number;
  #open = true;

  constructor(descriptor: number, slavePath: string, onClose: () => void) {
    this.#descriptor = descriptor;
    // Held open, the terminal survives a process that closes it for a while, and no output is cut short by a hang-up.
    this.#slave = openSync(slavePath, fileConstants.O_RDWR | fileConstants.O_NOCTTY);
    this.#stream = new ReadStream(descriptor);
    this.#stream.on("data", (bytes: Buffer) => this.output.push(bytes));
    this.#stream.on("end", () => this.finish()).on("error", () => this.finish());
    this.#stream.once("close", onClose);
    this.input = new TerminalInput(descriptor, () => this.#open);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Takes what is left of the output, and hangs up. */
  finish(): void {
    if (!this.#open) return;
    if (!this.#stream.destroyed) this.#readRest();
    this.#open = false;
    this.output.push(null);
    this.input.end();
    this.#stream.destroy();
    closeSync(this.#slave);
  }

  /** The kernel says that there is nothing more only once everything written before has come through. */
  #readRest(): void {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let total = 0; total < MOST_LATE_BYTES; ) {
      const count = readOrNothing(this.#descriptor, chunk);
      if (count === 0) return;
      this.output.push(Buffer.from(chunk.subarray(0, count)));
      total += count;
    }
  }
}

function readOrNothing(descriptor: number, chunk: Buffer): number {
  try {
    return readSync(descriptor, chunk);
  } catch {
    return 0;
  }
}

let loaded: Native | undefined;

function load(): Native {
  try {
    loaded ??= createRequire(import.meta.url)(`./${TERMINAL_ADDON}`) as Native;
    return loaded;
  } catch {
    throw new Refusal("not_supported", "there are no terminals on this machine");
  }
}

function signalName(number: number): NodeJS.Signals | null {
  const entry = Object.entries(constants.signals).find(([, value]) => value === number);
  return (entry?.[0] as NodeJS.Signals | undefined) ?? null;
}
