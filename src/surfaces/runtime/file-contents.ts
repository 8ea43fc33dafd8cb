import { z } from "zod";
import { attachment } from "#http/attachment";
import { OCTETS, operation, RawAnswer } from "#http/operation";
import { queryBoolean } from "#http/query";
import { Fault } from "#kernel/fault";
import {
  Entry,
  filesToRead,
  filesToWrite,
  mimeTypeOf,
  READ_FAULTS,
  reading,
  toEntry,
  WRITE_FAULTS,
  wholeIso,
  writing,
} from "#surfaces/runtime/entries";
import { Id, NonEmpty, Timestamp } from "#surfaces/runtime/values";

/** Larger files are cut when they are shown as JSON, and say so; download has no limit. */
const MAX_INLINE_BYTES = 16 * 1024 * 1024;

const Encoding = z.enum(["utf8", "base64"]);
const FileContent = z
  .object({
    workspaceId: Id,
    path: z.string(),
    encoding: Encoding,
    content: z.string(),
    truncated: z.boolean(),
    sizeBytes: z.int().min(0).optional(),
    mimeType: z.string().optional(),
    etag: z.string().optional(),
    updatedAt: Timestamp.optional(),
    readOnly: z.boolean(),
  })
  .meta({ id: "WorkspaceFileContent" });
const PutContentBody = z
  .object({
    path: NonEmpty,
    content: z.string(),
    encoding: Encoding.default("utf8"),
    overwrite: z.boolean().default(true),
    ifMatch: z.string().optional(),
  })
  .meta({ id: "PutWorkspaceFileRequest" });

const base = "/api/v1/sandboxes/{sandboxId}/files";
const CONTENT_FAULTS = [...WRITE_FAULTS, "entry_exists", "entry_conflict", "precondition_failed", "disk_full"] as const;

export const fileContentOperations = [
  operation({
    ...reading,
    id: "getSandboxFileContent",
    method: "get",
    path: `${base}/content`,
    summary: "Read a file as text or base64",
    query: z.object({
      path: NonEmpty,
      encoding: Encoding.default("utf8"),
      maxBytes: z.coerce.number().int().min(1).optional(),
    }),
    returns: { status: 200, schema: FileContent },
    faults: [...READ_FAULTS, "file_not_found"],
    run: async (ctx, { params, query }) => {
      const { workspace, workspaceId, link } = await filesToRead(ctx, params.sandboxId);
      const limit = Math.min(query.maxBytes ?? MAX_INLINE_BYTES, MAX_INLINE_BYTES);
      const { stat, body } = await link.read(query.path, limit);
      const bytes = new Uint8Array(await new Response(body).arrayBuffer());
      return {
        workspaceId,
        path: stat.path,
        encoding: query.encoding,
        content: query.encoding === "utf8" ? new TextDecoder().decode(bytes) : toBase64(bytes),
        truncated: bytes.byteLength < stat.size,
        sizeBytes: stat.size,
        mimeType: mimeTypeOf(stat.name),
        etag: stat.etag,
        updatedAt: wholeIso(stat.mtimeMs),
        readOnly: workspace.readOnly,
      };
    },
  }),
  operation({
    ...writing,
    id: "putSandboxFileContent",
    method: "put",
    path: `${base}/content`,
    summary: "Write a file from text or base64; missing parents are made",
    body: PutContentBody,
    returns: { status: 200, schema: Entry },
    faults: CONTENT_FAULTS,
    run: async (ctx, { params, body }) => {
      const { workspace, link } = await filesToWrite(ctx, params.sandboxId);
      const content = body.encoding === "utf8" ? body.content : fromBase64(body.content);
      const { overwrite, ifMatch } = body;
      return toEntry(await link.write(body.path, content, { overwrite, ifMatch }), workspace);
    },
  }),
  operation({
    ...writing,
    id: "uploadSandboxFile",
    method: "put",
    path: `${base}/upload`,
    summary: "Write a file from raw bytes of any size",
    octets: true,
    query: z.object({
      path: NonEmpty,
      overwrite: queryBoolean(true),
      ifMatch: z.string().optional(),
      mtimeMs: z.coerce.number().min(0).meta({ type: "number", minimum: 0 }).optional(),
    }),
    returns: { status: 200, schema: Entry },
    faults: CONTENT_FAULTS,
    run: async (ctx, { params, query, raw }) => {
      const { workspace, link } = await filesToWrite(ctx, params.sandboxId);
      const { path, ...options } = query;
      return toEntry(await link.write(path, raw.stream(), options), workspace);
    },
  }),
  operation({
    ...reading,
    id: "downloadSandboxFile",
    method: "get",
    path: `${base}/download`,
    summary: "Read a file as raw bytes",
    query: z.object({ path: NonEmpty }),
    returns: { status: 200, schema: RawAnswer, media: OCTETS },
    faults: [...READ_FAULTS, "file_not_found"],
    run: async (ctx, { params, query }) => {
      const { link } = await filesToRead(ctx, params.sandboxId);
      const { stat, body } = await link.read(query.path);
      const headers = {
        "content-type": OCTETS,
        etag: stat.etag,
        "last-modified": new Date(stat.mtimeMs).toUTCString(),
        "content-disposition": attachment(stat.name),
      };
      return new Response(body.pipeThrough(new FixedLengthStream(stat.size)), { headers });
    },
  }),
];

const toBase64 = (bytes: Uint8Array): string => {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
};

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    throw new Fault("invalid", "body.content: not valid base64");
  }
}
