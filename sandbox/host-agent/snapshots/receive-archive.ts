import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip as gunzipCallback } from "node:zlib";
import { MAX_CHUNK_BYTES, type Manifest, parseManifest } from "#protocol/chunks";
import { Failure } from "../failure.ts";
import type { ChunkCache } from "./chunk-cache.ts";
import type { ChunkClient } from "./chunk-client.ts";

const gunzip = promisify(gunzipCallback);
/** Chunks that are fetched ahead of the one that is needed. */
const AHEAD = 3;

type Options = {
  /** Hash of the manifest. */
  root: string;
  client: ChunkClient;
  cache: ChunkCache;
  /** Told how many bytes of how many have come. */
  progress?: (bytes: number, of: number) => void;
};

/** The bytes of an archive, in order. Each chunk is checked against its hash: a wrong or missing one is a `Failure`. */
export async function* receiveArchive({ root, client, cache, progress }: Options): AsyncGenerator<Buffer> {
  const manifest = parseManifest((await fetchChunk(root, client, cache)).toString("utf8"));
  if (!manifest) throw new Failure("transfer_failed", "the manifest of the template is not understood");
  const fetching: Promise<Buffer>[] = [];
  let begun = 0;
  let done = 0;
  try {
    for (const { bytes } of manifest.chunks) {
      for (; begun < manifest.chunks.length && fetching.length <= AHEAD; begun++) {
        const next = fetchChunk((manifest.chunks[begun] as Manifest["chunks"][number]).hash, client, cache);
        next.catch(() => {});
        fetching.push(next);
      }
      const chunk = await (fetching.shift() as Promise<Buffer>);
      if (chunk.length !== bytes) throw new Failure("transfer_failed", "a chunk of the template has another size");
      done += bytes;
      yield chunk;
      progress?.(done, manifest.bytes);
    }
  } finally {
    await Promise.allSettled(fetching);
  }
}

/** A chunk from this machine if it is there as it should be, else from the control plane. */
async function fetchChunk(hash: string, client: ChunkClient, cache: ChunkCache): Promise<Buffer> {
  const kept = await cache.read(hash);
  const known = kept && (await unpack(kept, hash));
  if (known) return known;
  const packed = await client.get(hash);
  const chunk = await unpack(packed, hash);
  if (!chunk) throw new Failure("transfer_failed", `a chunk of the template is damaged: ${hash}`);
  await cache.write(hash, packed);
  return chunk;
}

/** The bytes that a hash names, or undefined when these are others. */
async function unpack(packed: Buffer, hash: string): Promise<Buffer | undefined> {
  try {
    const plain = await gunzip(packed, { maxOutputLength: MAX_CHUNK_BYTES });
    return createHash("sha256").update(plain).digest("hex") === hash ? plain : undefined;
  } catch {
    return undefined;
  }
}
