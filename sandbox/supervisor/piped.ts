import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Launch, Launcher } from "./launch.ts";
import { Refusal } from "./refusal.ts";
import { endOf, MOST_WAITING_BYTES, type ProcessInput, type ProcessSource } from "./source.ts";

/** Starts a process whose output streams are apart; its input is a pipe or nothing. */
export async function startPipedSource(
  launcher: Launcher,
  launch: Launch,
  stdin: "pipe" | undefined,
): Promise<ProcessSource> {
  const { child, stdout, stderr } = await launcher.startPiped(launch, stdin ?? "ignore", () => {});
  const end = endOf(child);
  child.on("error", () => {});
  if (child.pid === undefined) throw new Refusal("conflict", "the sandbox cannot run more processes");
  return {
    pid: child.pid,
    outputs: [
      { stream: "stdout", readable: stdout },
      { stream: "stderr", readable: stderr },
    ],
    end,
    input: child.stdin && new PipeInput(child, child.stdin),
    resize: null,
  };
}

class PipeInput implements ProcessInput {
  readonly close: () => void;
  readonly #pipe: Writable;

  constructor(child: ChildProcess, pipe: Writable) {
    this.#pipe = pipe.on("error", () => {});
    this.close = () => void pipe.end();
    child.once("exit", () => pipe.destroy());
  }

  async write(bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    if (!this.#pipe.writable || this.#pipe.writableLength + bytes.length > MOST_WAITING_BYTES) return false;
    if (this.#pipe.write(bytes)) return true;
    const gone = new AbortController();
    this.#pipe.once("close", () => gone.abort());
    await once(this.#pipe, "drain", { signal: AbortSignal.any([gone.signal, signal]) }).catch(() => {});
    return true;
  }
}
