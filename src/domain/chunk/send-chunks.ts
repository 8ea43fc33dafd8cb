import { transferOf } from "#domain/chunk/transfer-of";
import { objectName } from "#domain/chunk/values";
import type { Ctx } from "#domain/context";
import { collectBytes } from "#kernel/bytes";
import { Fault, unwrap } from "#kernel/fault";
import { MAX_STORED_BYTES } from "#protocol/chunks";

/** Which of these chunks an upload has to send. */
export async function listMissingChunks(ctx: Ctx, token: string, hashes: string[]): Promise<string[]> {
  const { teamId, uploadId } = await transferOf(ctx, token, "put");
  return unwrap(await ctx.chunks.store(teamId).missing(uploadId, hashes));
}

/** Stores a chunk of an upload. One that is not what its hash says is `invalid`, and nothing of it is kept. */
export async function putChunk(
  ctx: Ctx,
  token: string,
  chunk: { hash: string; body: ReadableStream<Uint8Array> },
): Promise<void> {
  const { hash } = chunk;
  const { teamId, uploadId } = await transferOf(ctx, token, "put");
  const gzip = await collectBytes(chunk.body, MAX_STORED_BYTES);
  if (!gzip) throw new Fault("too_large", "a chunk is not as large as that");
  const { objects } = ctx.chunks;
  const held = await objects.measure(gzip);
  if (held?.hash !== hash) throw new Fault("invalid", "the chunk is not what its hash says");
  await objects.put(objectName(teamId, hash, uploadId), gzip);
  const sizes = { bytes: held.bytes, storedBytes: gzip.byteLength };
  unwrap(await ctx.chunks.store(teamId).stored(uploadId, hash, sizes));
}
