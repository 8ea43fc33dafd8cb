import { drizzle } from "drizzle-orm/d1";
import { deleteSessionRuns, publishRun, publishSession } from "#domain/session/repo";
import type { Log } from "#kernel/log";
import type { SessionStore } from "#objects/session/store";

/** How long changes are gathered before they go to the directory. */
const GATHER_MS = 1_000;
const BATCH = 50;

/** Writes runs and the session's times to D1, gathered and in the background. What is still to write is in storage. */
export class Publisher {
  readonly #d1: D1Database;
  readonly #store: SessionStore;
  readonly #log: Log;
  readonly #onGone: () => void;
  /** For whoever calls `publish` and does not wait. */
  readonly failed = (error: unknown): void => this.#log.error("publishing a session failed, will retry", { error });
  #timer: ReturnType<typeof setTimeout> | null = null;
  #publishing: Promise<void> | null = null;
  #stopped = false;

  /** `onGone` is called when the directory no longer has the session. */
  constructor(d1: D1Database, store: SessionStore, log: Log, onGone: () => void) {
    this.#log = log;
    this.#d1 = d1;
    this.#store = store;
    this.#onGone = onGone;
  }

  /** Publishes soon, if there is anything to. */
  schedule(): void {
    if (this.#timer !== null || this.#publishing || !this.#store.hasUnpublished) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.publish().catch(this.failed);
    }, GATHER_MS);
  }

  /** Publishes everything there is; one pass at a time. Rejects when D1 does, and the rest stays to be published. */
  publish(): Promise<void> {
    this.#publishing ??= this.#publishAll().finally(() => {
      this.#publishing = null;
    });
    return this.#publishing;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #publishAll(): Promise<void> {
    const db = drizzle(this.#d1);
    for (let { session } = this.#store; session && this.#store.hasUnpublished; session = this.#store.session) {
      const owner = session;
      const batch = this.#store.unpublishedRuns(BATCH);
      const [touched] = await db.batch([
        publishSession(db, owner),
        ...batch.map(({ run }) => publishRun(db, owner, run, Date.now())),
      ]);
      if (touched.length === 0) await deleteSessionRuns(db, owner.id);
      if (this.#stopped) return;
      if (touched.length === 0) return this.#onGone();
      this.#store.markPublished(batch);
    }
  }
}
