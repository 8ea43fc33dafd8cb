import { z } from "zod";

/**
 * How the files of a snapshot travel between a host and the control plane. An archive is cut into chunks by its content;
 * a chunk is named by the SHA-256 of its bytes and sent as gzip. A manifest lists the chunks of an archive, and is a chunk
 * itself. Every call carries `Authorization: Bearer JWT` with a token that the control plane gave for one upload, or for
 * reading one manifest and its chunks. Version 1:
 *
 *   POST /internal/v1/chunks/missing  MissingRequest → 200 MissingAnswer: which of these have to be sent. Those that need
 *                                     not be stay stored at least until the upload ends.
 *   PUT  /internal/v1/chunks/{hash}   gzip as application/octet-stream → 204; refused unless it is what its name says
 *   GET  /internal/v1/chunks/{hash}   200 gzip as application/octet-stream
 */
export const CHUNKS_PATH = "/internal/v1/chunks";

/** Bounds of a chunk's own bytes. Manifests alone may be smaller. */
export const MIN_CHUNK_BYTES = 256 * 1024;
export const MAX_CHUNK_BYTES = 4 * 1024 * 1024;
/** What gzip adds to bytes that cannot be made smaller is far less than this. */
export const MAX_STORED_BYTES = MAX_CHUNK_BYTES + 64 * 1024;
/** Hashes that one call may ask about. */
export const MAX_ASKED = 1000;

export const ChunkHash = z.string().regex(/^[0-9a-f]{64}$/);

export const MissingRequest = z.object({ hashes: z.array(ChunkHash).min(1).max(MAX_ASKED) });
export const MissingAnswer = z.object({ missing: z.array(ChunkHash) });

/** `bytes` counts the archive's, `entries` its files, folders and links. Chunks are in the archive's order. */
export const Manifest = z.object({
  v: z.literal(1),
  format: z.literal("tar"),
  bytes: z.int().nonnegative(),
  entries: z.int().nonnegative(),
  chunks: z.array(z.object({ hash: ChunkHash, bytes: z.int().min(1).max(MAX_CHUNK_BYTES) })),
});
export type Manifest = z.infer<typeof Manifest>;

/** The manifest that a chunk's bytes are, or undefined. */
export function parseManifest(text: string): Manifest | undefined {
  try {
    return Manifest.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
