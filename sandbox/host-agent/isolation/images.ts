import { readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SECOND } from "#kernel/time";
import { tool } from "./mounts.ts";

const MIB = 1024 * 1024;
export const SMALLEST_MB = 16;
const JOURNAL_MB = 8;
/** One inode for this many bytes, of which it takes 256 itself. */
const BYTES_PER_INODE = 8192;
const INODE_BYTES = 256;

const SPARE = ".spare-";
const MAX_SPARES = 4;
/** Spares are made when the sandbox that took the last one has had time to start. */
const REST_MS = SECOND;

/** Size of the image for a disk whose free space is a little less than what was asked for. */
export const imageBytes = (diskMb: number): number =>
  (Math.ceil(Math.max(SMALLEST_MB, diskMb) * (1 + INODE_BYTES / BYTES_PER_INODE)) + JOURNAL_MB) * MIB;

/** Makes empty ext4 images, and keeps one of each size that is in use ready, since making one takes a while. */
export class Images {
  readonly #folder: string;
  readonly #spares = new Map<number, string>();
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
    for (const name of readdirSync(folder)) if (name.startsWith(SPARE)) rmSync(join(folder, name));
  }

  /** Puts an empty image at `path`; a crash leaves none or a whole one. */
  async place(path: string, diskMb: number): Promise<void> {
    const spare = this.#spares.get(diskMb);
    this.#spares.delete(diskMb);
    renameSync(spare ?? (await this.#make(diskMb)), path);
    setTimeout(() => this.#replenish(diskMb).catch(() => {}), REST_MS).unref();
  }

  async #replenish(diskMb: number): Promise<void> {
    if (this.#spares.has(diskMb)) return;
    const spare = await this.#make(diskMb);
    const [oldest] = this.#spares.size < MAX_SPARES ? [] : this.#spares.keys();
    const surplus = [this.#spares.get(diskMb), oldest === undefined ? undefined : this.#spares.get(oldest)];
    if (oldest !== undefined) this.#spares.delete(oldest);
    for (const image of surplus) if (image !== undefined) rmSync(image, { force: true });
    this.#spares.set(diskMb, spare);
  }

  async #make(diskMb: number): Promise<string> {
    const path = join(this.#folder, `${SPARE}${this.#count++}`);
    writeFileSync(path, "", { mode: 0o600 });
    truncateSync(path, imageBytes(diskMb));
    const sizes = ["-b", "4096", "-I", String(INODE_BYTES), "-i", String(BYTES_PER_INODE), "-J", `size=${JOURNAL_MB}`];
    const lazily = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    await tool("mkfs.ext4", "-q", "-F", "-m", "0", ...sizes, "-E", lazily, path);
    return path;
  }
}
