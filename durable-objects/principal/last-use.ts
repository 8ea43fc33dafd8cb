import { eq } from "drizzle-orm";
import type { Db } from "#domain/context";
import { MINUTE } from "#kernel/time";
import { apiKeys } from "#schema";

const PUBLISH_EVERY_MS = MINUTE;

/** Tells the directory when a key was last used, at most once a minute. */
export class LastUse {
  readonly #db: () => Db;
  #publishedAt = 0;

  constructor(db: () => Db) {
    this.#db = db;
  }

  async note(keyId: string, now: number): Promise<void> {
    if (now - this.#publishedAt < PUBLISH_EVERY_MS) return;
    this.#publishedAt = now;
    await this.#db().update(apiKeys).set({ lastUsedAt: now }).where(eq(apiKeys.id, keyId));
  }
}
