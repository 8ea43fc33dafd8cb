import type { SandboxRoute } from "#domain/sandbox/ports";
import { SECOND } from "#kernel/time";

const KEPT = 1_000;
/** A token must last long enough to reach its host. */
const MARGIN_MS = 5 * SECOND;

/** A sandbox in use tells its object so no more often than this. */
const TOLD_EVERY_MS = SECOND;

/** `toldAt` is when the sandbox's object last heard that it is used, under this route. */
type Entry = { route: SandboxRoute | undefined; lost: number | undefined; toldAt: number | undefined };

/**
 * Routes to sandboxes, for as long as their tokens hold. Keys name team and sandbox, so that no team uses another's.
 * Holds values only: a promise of one request must not be awaited by another.
 */
export class RouteCache {
  readonly #entries = new Map<string, Entry>();

  /** The route that is still good, or the generation that was lost since the last one. */
  look(key: string): Pick<Entry, "route" | "lost"> {
    const { route, lost } = this.#entries.get(key) ?? {};
    return { route: route && route.expiresAt - Date.now() > MARGIN_MS ? route : undefined, lost };
  }

  /** `told` is whether asking for the route counted as use. */
  keep(key: string, route: SandboxRoute, told: boolean): void {
    this.#put(key, { route, lost: undefined, toldAt: told ? Date.now() : undefined });
  }

  /**
   * Whether the object must hear that the route is used, which counts as telling it: once for each route, and one that
   * idleness pauses every second. A route that is not kept any more is told of each time: only what runs long has it.
   */
  mustTell(key: string, timed: boolean): boolean {
    const entry = this.#entries.get(key);
    const now = Date.now();
    if (!entry) return timed;
    if (entry.toldAt !== undefined && (!timed || now - entry.toldAt < TOLD_EVERY_MS)) return false;
    entry.toldAt = now;
    return true;
  }

  /** The sandbox could not be reached under this generation; the next route is asked for with that knowledge. */
  lose(key: string, generation: number): void {
    this.#put(key, { route: undefined, lost: generation, toldAt: undefined });
  }

  /** The route is of no use any more, though nothing was lost. */
  drop(key: string): void {
    this.#entries.delete(key);
  }

  #put(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= KEPT) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
