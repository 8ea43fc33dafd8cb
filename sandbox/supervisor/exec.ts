import { Command } from "./command.ts";
import type { CheckedExec } from "./input.ts";
import { KilledEarly } from "./killed.ts";
import type { Launcher } from "./launch.ts";
import type { ExecOutcome } from "./output.ts";
import { Refusal } from "./refusal.ts";

/** Runs commands to their end, and kills them with everything they started. */
export class Commands {
  readonly #launcher: Launcher;
  readonly #running = new Map<string, Command>();
  readonly #killedEarly = new KilledEarly();

  constructor(launcher: Launcher) {
    this.#launcher = launcher;
  }

  /**
   * Runs a command to its end. Aborting `signal` kills its tree. A command is over when its process is: children it
   * left behind live on, but nobody waits for them.
   */
  async run(request: CheckedExec, signal: AbortSignal): Promise<ExecOutcome> {
    this.#checkName(request.execId);
    const launch = this.#launcher.prepare(request);
    try {
      const command = await this.#start(request, launch);
      const onAbort = () => void command.kill();
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) onAbort();
      try {
        return await command.finish(request.stdin, request.timeoutMs);
      } finally {
        signal.removeEventListener("abort", onAbort);
        this.#running.delete(request.execId);
        this.#launcher.makeReady();
      }
    } finally {
      this.#launcher.release(launch);
    }
  }

  /** Kills a running command; answers when its whole tree is dead. One that has not started yet will not start. */
  async kill(execId: string): Promise<void> {
    const command = this.#running.get(execId);
    if (command) return command.kill();
    this.#killedEarly.add(execId);
    throw new Refusal("exec_not_found", "no such command is running");
  }

  /** Starts the command. Its name is taken only at the end, after the last chance to be refused. */
  async #start(request: CheckedExec, launch: ReturnType<Launcher["prepare"]>): Promise<Command> {
    const input = request.stdin === undefined ? "ignore" : "pipe";
    const piped = await this.#launcher.startPiped(launch, input, () => this.#checkName(request.execId));
    const command = new Command(piped.child, piped, launch.mark, request.outputLimit);
    this.#running.set(request.execId, command);
    return command;
  }

  #checkName(execId: string): void {
    if (this.#running.has(execId)) throw new Refusal("conflict", "a command with this execId is running");
    if (this.#killedEarly.has(execId)) throw new Refusal("conflict", "this command was killed before it started");
  }
}
