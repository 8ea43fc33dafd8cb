import type { SandboxRoute } from "#domain/sandbox/ports";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import type { LinkCalls } from "#platform/sandbox/link-calls";

const EVERY_MS = 10 * SECOND;
const FAILURES = 2;

type Options = {
  /** How many times the sandbox may be passed over after a sign of life. */
  patience?: number;
  /** Whether the sandbox counts as in use meanwhile, so that idleness does not pause it. */
  inUse?: boolean;
};

/**
 * Notices that a host has vanished without closing the connection (H2): while something runs, its sandbox is looked
 * after every ten seconds, and `signal` aborts with `host_lost` when it is gone or the host stays silent twice. A paused
 * sandbox is not gone.
 */
export class LinkWatch {
  readonly #calls: LinkCalls;
  readonly #patience: number;
  readonly #inUse: boolean;
  readonly #lost = new AbortController();
  #timer: number | null = null;
  #failures = 0;
  #quiet = 0;
  #paused = false;

  constructor(calls: LinkCalls, { patience = 0, inUse = true }: Options = {}) {
    this.#calls = calls;
    this.#patience = patience;
    this.#inUse = inUse;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether the sandbox was paused when it was last looked after. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Begins, or begins again when the sandbox was reached under another lease. */
  readonly start = (route: SandboxRoute): void => {
    clearInterval(this.#timer);
    this.heard();
    this.#timer = setInterval(() => {
      if (this.#inUse && route.timed) this.#calls.noteUse(route);
      if (++this.#quiet > this.#patience) void this.#look(route.generation);
    }, EVERY_MS);
  };

  /** Notes a sign of life. */
  heard(): void {
    this.#quiet = 0;
    this.#failures = 0;
  }

  end(): void {
    clearInterval(this.#timer);
  }

  async #look(generation: number): Promise<void> {
    const found = await this.#calls.look(generation);
    this.#paused = found === "paused";
    if (found === "running" || found === "paused") this.#failures = 0;
    else this.#failures += found === "gone" ? FAILURES : 1;
    if (this.#failures < FAILURES) return;
    this.end();
    this.#lost.abort(new Fault("host_lost", "the host of the sandbox no longer runs this"));
  }
}
