import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { promisify } from "node:util";
import { gzip as gzipCallback } from "node:zlib";
import { MAX_CHUNK_BYTES, type Manifest } from "#protocol/chunks";
import { Failure } from "../failure.ts";
import type { ChunkClient } from "./chunk-client.ts";
import { cutLength } from "./chunker.ts";
import { inParallel } from "./in-parallel.ts";

const gzip = promisify(gzipCallback);
/** Chunks that are asked about at once, and sent at once: each is held twice, plain and packed. */
const ASKED_AT_ONCE = 64;
const SENT_AT_ONCE = 3;
/** More costs time and hardly saves space. */
const LEVEL = 1;

type Piece = { hash: string; bytes: number; at: number };

/** Sends an archive in chunks, those alone that are not there yet, and answers with its manifest's hash. */
export async function sendArchive(
  archive: FileHandle,
  entries: number,
  client: ChunkClient,
): Promise<{ root: string; bytes: number; sentBytes: number }> {
  const chunks: Manifest["chunks"] = [];
  let bytes = 0;
  let sentBytes = 0;
  for await (const pieces of batches(archive)) {
    for (const piece of pieces) {
      chunks.push({ hash: piece.hash, bytes: piece.bytes });
      bytes += piece.bytes;
    }
    const unique = new Map(pieces.map((piece) => [piece.hash, piece]));
    const missing = await client.missing([...unique.keys()]);
    const wanted = [...unique.values()].filter(({ hash }) => missing.has(hash));
    await inParallel(wanted, SENT_AT_ONCE, async (piece) => {
      const sent = await send(client, piece.hash, await readPiece(archive, piece));
      sentBytes += sent;
    });
  }
  const manifest: Manifest = { v: 1, format: "tar", bytes, entries, chunks };
  const content = Buffer.from(JSON.stringify(manifest));
  if (content.length > MAX_CHUNK_BYTES) throw new Failure("snapshot_failed", "the files are too many for one snapshot");
  const root = digest(content);
  if ((await client.missing([root])).has(root)) sentBytes += await send(client, root, content);
  return { root, bytes, sentBytes };
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function send(client: ChunkClient, hash: string, plain: Uint8Array): Promise<number> {
  const packed = await gzip(plain, { level: LEVEL });
  await client.put(hash, packed);
  return packed.length;
}

/** Cuts a file and answers its pieces, some at a time. */
async function* batches(archive: FileHandle): AsyncGenerator<Piece[]> {
  const window = Buffer.allocUnsafe(MAX_CHUNK_BYTES);
  let held = 0;
  let at = 0;
  let batch: Piece[] = [];
  for (;;) {
    held += await fill(archive, window.subarray(held), at + held);
    if (held === 0) break;
    const size = cutLength(window.subarray(0, held));
    batch.push({ hash: digest(window.subarray(0, size)), bytes: size, at });
    at += size;
    window.copyWithin(0, size, held);
    held -= size;
    if (batch.length < ASKED_AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function readPiece(archive: FileHandle, { at, bytes }: Piece): Promise<Buffer> {
  const content = Buffer.allocUnsafe(bytes);
  if ((await fill(archive, content, at)) < bytes) throw new Failure("snapshot_failed", "the archive was cut short");
  return content;
}

/** Reads until the buffer is full or the file ends. */
async function fill(archive: FileHandle, into: Buffer, from: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await archive.read(into, done, into.length - done, from + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
