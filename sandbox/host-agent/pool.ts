import { randomBytes } from "node:crypto";
import { freemem } from "node:os";
import type { Log } from "#kernel/log";
import { SECOND } from "#kernel/time";
import { type AgentWarm, type StartSandbox, USUAL_START } from "#protocol/host-agent";
import type { RunningSandbox } from "./sandbox.ts";

/** What the names of spares' files begin with. No sandbox's id does. */
const PREFIX = "warm_";
/** Kinds of start that spares are kept for, newest first. */
const KINDS = 2;
/** Spares are made when nobody has started a sandbox for so long: what somebody waits for comes first. */
const QUIET_MS = 50;
const RETRY_MS = 10 * SECOND;
/** Memory of the machine that stays free of spares. */
const FREE_BYTES = 256 * 1024 * 1024;

/** A sandbox that is ready and nobody's: it has an empty workspace, and has never run anything but its supervisor. */
export type Spare = { place: string; slot: number; kind: string; sandbox: RunningSandbox };

type Options = {
  /** How many spares are kept of each kind. */
  size: number;
  log: Log;
  /** A slot that is free; undefined when there are none to spare. */
  freeSlot: () => number | undefined;
  boot: (place: string, slot: number, wanted: StartSandbox) => Promise<RunningSandbox>;
  erase: (place: string) => Promise<void>;
};

export const isSparePlace = (name: string): boolean => name.startsWith(PREFIX);

/**
 * Keeps sandboxes ready, so that a new one need not wait for its boot. Each is given away once and never comes back.
 * Spares are of the usual kind, and of another one once it was asked for twice.
 */
export class WarmPool {
  readonly #options: Options;
  readonly #ready: Spare[] = [];
  readonly #counts = { taken: 0, missed: 0 };
  #kinds: StartSandbox[] = [USUAL_START];
  #lastMissed = "";
  #booting: number | undefined;
  #quietFrom = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = 0;
  #filling: Promise<void> | undefined;
  #closed = false;

  constructor(options: Options) {
    this.#options = options;
  }

  get counts(): AgentWarm {
    return { ready: this.#ready.length, ...this.#counts };
  }

  /** Slots that spares have, and the one that is being started. */
  get slots(): number[] {
    const slots = this.#ready.map(({ slot }) => slot);
    return this.#booting === undefined ? slots : [...slots, this.#booting];
  }

  /** Begins to fill the pool, or goes on with it after a while; of several calls the one that is due first counts. */
  fill(afterMs = 0): void {
    if (this.#closed || this.#options.size === 0) return;
    const dueAt = performance.now() + afterMs;
    if (this.#timer && this.#dueAt <= dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#filling ??= this.#fill().finally(() => {
        this.#filling = undefined;
      });
    }, afterMs).unref();
  }

  /** A spare for this start, the caller's from now on; undefined when none is ready. */
  take(wanted: StartSandbox): Spare | undefined {
    if (this.#options.size === 0) return undefined;
    const kind = kindOf(wanted);
    const at = this.#ready.findIndex((spare) => spare.kind === kind);
    const [spare] = at === -1 ? [] : this.#ready.splice(at, 1);
    if (spare) this.#counts.taken++;
    else this.#counts.missed++;
    this.#noteKind(wanted, kind);
    this.#quietFrom = performance.now() + QUIET_MS;
    this.fill(QUIET_MS);
    return spare;
  }

  /** Ends and erases every spare. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#filling;
    await Promise.all(this.#ready.splice(0).map((spare) => this.#end(spare)));
  }

  #noteKind(wanted: StartSandbox, kind: string): void {
    const known = this.#kinds.some((other) => kindOf(other) === kind);
    if (!known && this.#lastMissed !== kind) {
      this.#lastMissed = kind;
      return;
    }
    this.#kinds = [wanted, ...this.#kinds.filter((other) => kindOf(other) !== kind)].slice(0, KINDS);
  }

  async #fill(): Promise<void> {
    for (let next = this.#next(); next && !this.#closed; next = this.#next()) {
      const wait = this.#quietFrom - performance.now();
      if (wait > 0) return this.fill(wait);
      if (!(await this.#bootOne(next))) return this.fill(RETRY_MS);
    }
    const kept = new Set(this.#kinds.map(kindOf));
    const unwanted = this.#ready.filter(({ kind }) => !kept.has(kind));
    for (const spare of unwanted) this.#remove(spare);
    await Promise.all(unwanted.map((spare) => this.#end(spare)));
  }

  /** The kind of which there are too few. */
  #next(): StartSandbox | undefined {
    const count = (kind: string) => this.#ready.filter((spare) => spare.kind === kind).length;
    return this.#kinds.find((wanted) => count(kindOf(wanted)) < this.#options.size);
  }

  /** False when there is no room for another spare, or it did not start. */
  async #bootOne(wanted: StartSandbox): Promise<boolean> {
    const { boot, erase, freeSlot, log } = this.#options;
    const slot = freeSlot();
    if (slot === undefined || freemem() < FREE_BYTES) return false;
    const place = `${PREFIX}${randomBytes(8).toString("hex")}`;
    this.#booting = slot;
    try {
      const spare = { place, slot, kind: kindOf(wanted), sandbox: await boot(place, slot, wanted) };
      this.#ready.push(spare);
      void spare.sandbox.exited.then(() => this.#noteEnd(spare));
      return true;
    } catch (error) {
      log.warn("a spare sandbox did not start", { error });
      await erase(place).catch(() => {});
      return false;
    } finally {
      this.#booting = undefined;
    }
  }

  #noteEnd(spare: Spare): void {
    if (!this.#remove(spare)) return;
    this.#options.log.warn("a spare sandbox ended by itself");
    void this.#end(spare).then(() => this.fill(RETRY_MS));
  }

  #remove(spare: Spare): boolean {
    const at = this.#ready.indexOf(spare);
    if (at !== -1) this.#ready.splice(at, 1);
    return at !== -1;
  }

  async #end({ sandbox, place }: Spare): Promise<void> {
    try {
      await sandbox.stop();
      await this.#options.erase(place);
    } catch (error) {
      this.#options.log.warn("a spare sandbox was not tidied up", { error });
    }
  }
}

/** Two starts of one kind can use each other's sandbox. */
const kindOf = (wanted: StartSandbox): string => JSON.stringify(wanted);
