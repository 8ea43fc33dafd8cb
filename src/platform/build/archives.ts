import type { BuildArchives } from "#domain/build/ports";

/** What R2 takes at once; all parts but the last must be equally large, and 5 MiB at least. */
const PART_BYTES = 8 * 1024 * 1024;

/** Archives of builds in the bucket of files. Never more of one than a part is in memory. */
export const buildArchives = ({ FILES }: Pick<Env, "FILES">): BuildArchives => ({
  async put(key, body, limitBytes) {
    const upload = await FILES.createMultipartUpload(key);
    try {
      const parts: R2UploadedPart[] = [];
      let total = 0;
      for await (const part of partsOf(body)) {
        total += part.byteLength;
        if (total > limitBytes) {
          await upload.abort();
          return false;
        }
        parts.push(await upload.uploadPart(parts.length + 1, part));
      }
      await upload.complete(parts);
      return true;
    } catch (error) {
      await upload.abort().catch(() => {});
      throw error;
    }
  },
  get: async (key) => (await FILES.get(key))?.body ?? null,
  delete: async (key) => FILES.delete(key),
});

/** Full parts, and a last one with what is left, which may be empty if it is the only one. */
async function* partsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let part = new Uint8Array(PART_BYTES);
  let filled = 0;
  let any = false;
  for await (const bytes of body) {
    for (let from = 0; from < bytes.length; ) {
      const piece = bytes.subarray(from, from + PART_BYTES - filled);
      part.set(piece, filled);
      filled += piece.length;
      from += piece.length;
      if (filled < PART_BYTES) continue;
      yield part;
      any = true;
      part = new Uint8Array(PART_BYTES);
      filled = 0;
    }
  }
  if (filled > 0 || !any) yield part.subarray(0, filled);
}
