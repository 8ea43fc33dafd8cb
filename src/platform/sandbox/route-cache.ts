import type { SandboxRoute } from "#domain/sandbox/ports";
import { SECOND } from "#kernel/time";

const KEPT = 1_000;
/** A token must last long enough to reach its host. */
const MARGIN_MS = 5 * SECOND;

type Entry = { route: SandboxRoute | undefined; lost: number | undefined };

/**
 * Routes to sandboxes, for as long as their tokens hold. Keys name team and sandbox, so that no team uses another's.
 * Holds values only: a promise of one request must not be awaited by another.
 */
export class RouteCache {
  readonly #entries = new Map<string, Entry>();

  /** The route that is still good, or the generation that was lost since the last one. */
  look(key: string): Entry {
    const { route, lost } = this.#entries.get(key) ?? {};
    return { route: route && route.expiresAt - Date.now() > MARGIN_MS ? route : undefined, lost };
  }

  keep(key: string, route: SandboxRoute): void {
    this.#put(key, { route, lost: undefined });
  }

  /** The sandbox could not be reached under this generation; the next route is asked for with that knowledge. */
  lose(key: string, generation: number): void {
    this.#put(key, { route: undefined, lost: generation });
  }

  #put(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= KEPT) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
