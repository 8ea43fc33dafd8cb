import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const NAME = /^[0-9a-f]{64}$/;

/** Chunks of one owner, as they came. */
export type ChunkCache = {
  read(hash: string): Promise<Buffer | undefined>;
  write(hash: string, packed: Uint8Array): Promise<void>;
};

/**
 * Keeps chunks on this machine, so that the next sandbox from a template need not fetch them; those that were not used for
 * longest go first. Owners share nothing: how long a start takes tells none what another one has. Nothing fails because
 * of the cache, and what is read from it has to be checked like anything that was fetched.
 */
export class ChunkCaches {
  readonly #folder: string;
  readonly #limitBytes: number;
  /** Sizes by owner and hash, the least recently used first. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(folder: string, limitBytes: number) {
    this.#folder = folder;
    this.#limitBytes = limitBytes;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const { name, bytes } of this.#found()) this.#note(name, bytes);
    this.#evict();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The cache of an owner, a team or the platform. */
  of(owner: string): ChunkCache {
    return {
      read: (hash) => this.#read(`${owner}/${hash}`),
      write: (hash, packed) => this.#write(owner, hash, packed),
    };
  }

  async #read(name: string): Promise<Buffer | undefined> {
    const bytes = this.#sizes.get(name);
    if (bytes === undefined) return undefined;
    try {
      const content = await readFile(join(this.#folder, name));
      utimesSync(join(this.#folder, name), new Date(), new Date());
      this.#forget(name);
      this.#note(name, bytes);
      return content;
    } catch {
      this.#forget(name);
      return undefined;
    }
  }

  async #write(owner: string, hash: string, packed: Uint8Array): Promise<void> {
    if (packed.length > this.#limitBytes) return;
    const [name, temporary] = [`${owner}/${hash}`, join(this.#folder, owner, `.${randomBytes(6).toString("hex")}`)];
    try {
      mkdirSync(join(this.#folder, owner), { recursive: true, mode: 0o700 });
      await writeFile(temporary, packed, { mode: 0o600 });
      await rename(temporary, join(this.#folder, name));
      this.#forget(name);
      this.#note(name, packed.length);
      this.#evict();
    } catch {
      await rm(temporary, { force: true }).catch(() => {});
    }
  }

  #note(name: string, bytes: number): void {
    this.#sizes.set(name, bytes);
    this.#bytes += bytes;
  }

  #forget(name: string): void {
    this.#bytes -= this.#sizes.get(name) ?? 0;
    this.#sizes.delete(name);
  }

  #evict(): void {
    for (const name of this.#sizes.keys()) {
      if (this.#bytes <= this.#limitBytes) return;
      this.#forget(name);
      rmSync(join(this.#folder, name), { force: true });
    }
  }

  /** What an earlier life of the agent has left, the least recently used first. */
  #found(): { name: string; bytes: number }[] {
    const all = readdirSync(this.#folder).flatMap((owner) =>
      readdirSync(join(this.#folder, owner)).flatMap((hash) => {
        const path = join(this.#folder, owner, hash);
        const { size, mtimeMs } = statSync(path);
        if (NAME.test(hash)) return [{ name: `${owner}/${hash}`, bytes: size, usedAt: mtimeMs }];
        rmSync(path, { force: true });
        return [];
      }),
    );
    return all.sort((a, b) => a.usedAt - b.usedAt);
  }
}
