import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "#kernel/log";
import { SECOND } from "#kernel/time";
import type { SandboxSource, SnapshotAnswer } from "#protocol/host-agent";
import { Failure } from "../failure.ts";
import { ChunkCaches } from "./chunk-cache.ts";
import { ChunkClient } from "./chunk-client.ts";
import { receiveArchive } from "./receive-archive.ts";
import { sendArchive } from "./send-archive.ts";

/** How long a sandbox may stand still for its files to be packed. */
const PACK_DEADLINE_MS = 120 * SECOND;
/** Archives that are sent at once; others wait, each as a file. */
const SENT_AT_ONCE = 2;
/** How often the coming of files is told in the log. */
const TOLD_EVERY_MS = 10 * SECOND;

type Options = {
  /** Address of the control plane. */
  url: string;
  /** Folder for archives that are being sent. What is in it is deleted. */
  spool: string;
  /** Folder for chunks that are kept, and how many bytes of them. */
  cache: string;
  cacheBytes: number;
  log: Log;
};

export type Packing = (to: number, signal: AbortSignal) => Promise<{ entries: number; frozenMs: number }>;
export type Progress = (bytes: number, of: number) => void;

/** Carries the files of sandboxes to the control plane and back. */
export class Snapshots {
  readonly #options: Options;
  readonly #caches: ChunkCaches;
  #sending = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: Options) {
    this.#options = options;
    rmSync(options.spool, { recursive: true, force: true });
    mkdirSync(options.spool, { recursive: true, mode: 0o700 });
    this.#caches = new ChunkCaches(options.cache, options.cacheBytes);
  }

  /** Has files packed into an archive beside the sandbox, and sends that while the sandbox goes on. */
  async take(pack: Packing, token: string, signal: AbortSignal): Promise<SnapshotAnswer> {
    const path = join(this.#options.spool, randomBytes(8).toString("hex"));
    const archive = await open(path, "wx+", 0o600);
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(PACK_DEADLINE_MS)]);
      const { entries, frozenMs } = await pack(archive.fd, limit).catch((error) => {
        throw asFailure(error, "snapshot_failed", "the files could not be packed");
      });
      const client = new ChunkClient({ url: this.#options.url, token, signal });
      return { ...(await this.#send(archive, entries, client)), frozenMs };
    } finally {
      await archive.close();
      await rm(path, { force: true });
    }
  }

  /** The archive that a sandbox begins with, checked chunk by chunk as it comes. */
  receive(source: SandboxSource, signal: AbortSignal, progress: Progress): AsyncGenerator<Buffer> {
    const { url, log } = this.#options;
    const client = new ChunkClient({ url, token: source.token, signal });
    let toldAt = performance.now();
    return receiveArchive({
      root: source.root,
      client,
      cache: this.#caches.of(source.owner),
      progress: (bytes, of) => {
        progress(bytes, of);
        if (performance.now() - toldAt < TOLD_EVERY_MS) return;
        toldAt = performance.now();
        log.info("the files of a sandbox are coming", { bytes, of });
      },
    });
  }

  async #send(archive: FileHandle, entries: number, client: ChunkClient) {
    if (this.#sending >= SENT_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#sending++;
    try {
      return await sendArchive(archive, entries, client);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#sending--;
    }
  }
}

/** A failure in words; what was a refusal already stays one. */
export function asFailure(error: unknown, code: "snapshot_failed" | "start_failed", what: string): Failure {
  if (error instanceof Failure) return error;
  return new Failure(code, `${what}: ${error instanceof Error ? error.message : String(error)}`);
}
