import type { ChunkObjects } from "#domain/chunk/ports";
import { hex } from "#kernel/digest";
import { MAX_CHUNK_BYTES } from "#protocol/chunks";

/** Chunks as objects in R2. */
export const chunkObjects = ({ FILES }: Pick<Env, "FILES">): ChunkObjects => ({
  put: async (object, bytes) => void (await FILES.put(object, bytes)),
  get: async (object) => {
    const found = await FILES.get(object);
    return found ? { body: found.body, bytes: found.size } : undefined;
  },
  measure,
});

/** Unpacks piece by piece, so that a small file which would become a huge one costs no memory. */
async function measure(gzip: Uint8Array): Promise<{ hash: string; bytes: number } | undefined> {
  const plain = new Response(gzip).body?.pipeThrough(new DecompressionStream("gzip"));
  const digest = new crypto.DigestStream("SHA-256");
  const writer = digest.getWriter();
  let bytes = 0;
  try {
    for await (const piece of (plain ?? []) as AsyncIterable<Uint8Array>) {
      bytes += piece.byteLength;
      if (bytes > MAX_CHUNK_BYTES) throw new RangeError("more than a chunk");
      await writer.write(piece);
    }
    await writer.close();
    return { hash: hex(await digest.digest), bytes };
  } catch {
    await writer.abort().catch(() => {});
    digest.digest.catch(() => {});
    return undefined;
  }
}
