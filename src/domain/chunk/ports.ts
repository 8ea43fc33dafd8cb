import type { Result } from "#kernel/fault";

/** What a transfer token lets its bearer do. */
export type Transfer =
  /** Store chunks of one upload. */
  | { act: "put"; teamId: string; hostId: string; uploadId: string }
  /** Read one manifest and its chunks. */
  | { act: "get"; teamId: string; hostId: string; root: string };

/** What is stored under a manifest: bytes of its archive, and bytes that its chunks take. */
export type Stored = { bytes: number; storedBytes: number; entries: number };

/**
 * The chunks of one team, or of the platform's templates: which there are, and what still needs them. A root is the hash
 * of a manifest. It and its chunks stay while somebody holds the root; a holder is the id of a template, or of a sandbox
 * that is being filled from it.
 */
export interface ChunkStoreHandle {
  /** Begins an upload; whatever it has stored and nobody holds is collected once it has ended, or at `until`. */
  begin(uploadId: string, until: number): Promise<void>;
  /** Which chunks the upload has to send; the others are kept for it. */
  missing(uploadId: string, hashes: string[]): Promise<Result<string[]>>;
  /** Notes that the object of this upload's chunk was written. */
  stored(uploadId: string, hash: string, sizes: { bytes: number; storedBytes: number }): Promise<Result<null>>;
  /**
   * Ends an upload: its root is held until `until`, and for good once a template of that id is in the directory.
   * `sandbox_failed` when the manifest or one of its chunks is not there.
   */
  finish(uploadId: string, root: string, templateId: string, until: number): Promise<Result<Stored>>;
  abandon(uploadId: string): Promise<void>;
  /** Keeps a root until a time; `template_not_found` when it is not stored any more. */
  hold(root: string, holder: string, until: number): Promise<Result<null>>;
  /** Says that the template was committed. */
  confirm(root: string, templateId: string): Promise<void>;
  /** Looks by that time whether the template is still in the directory, and lets go of its files if it is not. */
  doubt(root: string, templateId: string, at: number): Promise<void>;
  release(root: string, holder: string): Promise<void>;
  /** The object of a chunk of a root; undefined when there is none. */
  objectOf(root: string, hash: string): Promise<string | undefined>;
}

/** Where the bytes of chunks are. */
export interface ChunkObjects {
  put(object: string, bytes: Uint8Array): Promise<void>;
  /** The bytes as they are stored; undefined when the object is gone. */
  get(object: string): Promise<{ body: ReadableStream<Uint8Array>; bytes: number } | undefined>;
  /** What gzip holds: hash and size. Undefined when it is not gzip, or more than a chunk may have. */
  measure(gzip: Uint8Array): Promise<{ hash: string; bytes: number } | undefined>;
}

export type ChunkPort = {
  /** The store of a team's chunks; with an empty id that of the platform. */
  store(teamId: string): ChunkStoreHandle;
  objects: ChunkObjects;
  issueToken(transfer: Transfer, lifeMs: number): Promise<string>;
  /** `unauthenticated` for anything but a live token of this kind. */
  readToken(token: string): Promise<Result<Transfer>>;
};
