import { z } from "zod";
import type { AuditAction } from "#domain/audit/audit";
import type { Ctx } from "#domain/context";
import { openSandboxFiles } from "#domain/file/open-sandbox-files";
import { asAdminOf } from "#domain/sandbox/as-admin";
import type { SandboxLink } from "#domain/sandbox/ports";
import { attachment } from "#http/attachment";
import { Empty, OCTETS, type Operation, operation, RawAnswer } from "#http/operation";
import type { FaultCode } from "#kernel/fault";
import {
  ListDirAnswer,
  ListDirBody,
  MakeDirAnswer,
  MakeDirBody,
  orInvalid,
  ReadFileBody,
  RemoveBody,
  toFileEntry,
} from "#surfaces/platform/file-shapes";
import { MAX_UPLOAD_BYTES, receiveUpload, UPLOAD_FORM } from "#surfaces/platform/file-upload";

/** The most entries that one listing shows. */
const MAX_ENTRIES = 10_000;
/** Set, to `true`, on a listing that does not show everything; the contract has no field for it. */
const TRUNCATED = "x-list-truncated";

/** Why a sandbox may not answer. */
const UNREACHABLE = ["sandbox_not_found", "sandbox_not_running", "host_lost", "sandbox_failed"] as const;
const BAD_PATH = ["invalid_path", "path_not_allowed"] as const;
const READ_FAULTS: readonly FaultCode[] = [...UNREACHABLE, ...BAD_PATH];
const WRITE_FAULTS: readonly FaultCode[] = [...READ_FAULTS, "workspace_read_only", "disk_full"];

/** For whom an operation is: a team's own capsules, or any team's for the platform's administrators. */
type Twin = {
  name: (own: string) => string;
  what: string;
  access: (to: "read" | "write") => Pick<Operation, "permission" | "accepts" | "tag" | "method">;
  path: (rest: string) => string;
  open: (ctx: Ctx, id: string, to: "read" | "write", action: AuditAction) => Promise<SandboxLink>;
};

const OWN: Twin = {
  name: (own) => own,
  what: "a capsule",
  access: (to) => ({ permission: `sandbox:${to}`, accepts: ["api_key", "session"], tag: "files", method: "post" }),
  path: (rest) => `/v1/capsules/{id}/files/${rest}`,
  open: openSandboxFiles,
};

/** Every use of a team's files by an administrator is in that team's audit log (R410). */
const ADMIN: Twin = {
  name: (own) => `admin${own[0]?.toUpperCase()}${own.slice(1)}`,
  what: "any team's capsule",
  access: () => ({ permission: "platform:admin", accepts: ["session"], tag: "admin", method: "post" }),
  path: (rest) => `/v1/admin/capsules/{id}/files/${rest}`,
  open: async (ctx, id, to, action) => openSandboxFiles(await asAdminOf(ctx, id, action), id, to),
};

const params = z.object({ id: z.string() });

const upload = (twin: Twin, { id, rest, limitBytes }: { id: string; rest: string; limitBytes?: number }) =>
  operation({
    ...twin.access("write"),
    id: twin.name(id),
    path: twin.path(rest),
    summary: `Write a file in ${twin.what}${limitBytes ? "" : " of any size"}`,
    description: "Missing directories are made, and a file that is there is replaced when all of the new one has come.",
    params,
    form: UPLOAD_FORM,
    returns: { status: 204, schema: Empty },
    faults: [...WRITE_FAULTS, ...(limitBytes ? (["too_large"] as const) : [])],
    run: async (ctx, { params, raw }) => {
      const link = await twin.open(ctx, params.id, "write", "sandbox.file_written");
      return void (await receiveUpload(ctx, link, raw, limitBytes));
    },
  });

const download = (twin: Twin, { id, rest, chunked }: { id: string; rest: string; chunked: boolean }) =>
  operation({
    ...twin.access("read"),
    id: twin.name(id),
    path: twin.path(rest),
    summary: `Read a file in ${twin.what}${chunked ? ", in chunks" : ""}`,
    params,
    body: ReadFileBody,
    returns: { status: 200, schema: RawAnswer, media: OCTETS },
    faults: [...READ_FAULTS, "file_not_found", "not_a_regular_file"],
    run: async (ctx, { params, body }) => {
      const link = await twin.open(ctx, params.id, "read", "sandbox.file_read");
      const { stat, body: bytes } = await link.read(body.path);
      // Without a length the answer is chunked (R261).
      const sent = chunked ? new IdentityTransformStream() : new FixedLengthStream(stat.size);
      const headers = { "content-type": OCTETS, "content-disposition": attachment(stat.name) };
      return new Response(bytes.pipeThrough(sent), { headers });
    },
  });

const listDir = (twin: Twin) =>
  operation({
    ...twin.access("read"),
    id: twin.name("listDir"),
    path: twin.path("list"),
    summary: `List a directory in ${twin.what}`,
    description: `At most ${MAX_ENTRIES} entries; where there are more, the header \`${TRUNCATED}\` says so.`,
    params,
    body: ListDirBody,
    returns: { status: 200, schema: ListDirAnswer },
    faults: [...READ_FAULTS, "directory_not_found"],
    run: async (ctx, { params, body, outcome }) => {
      const link = await twin.open(ctx, params.id, "read", "sandbox.directory_listed");
      const { entries, truncated } = await link.tree(body.path, body.depth, MAX_ENTRIES);
      if (truncated) outcome.headers.set(TRUNCATED, "true");
      return { entries: entries.map(toFileEntry) };
    },
  });

const makeDir = (twin: Twin) =>
  operation({
    ...twin.access("write"),
    id: twin.name("makeDir"),
    path: twin.path("mkdir"),
    summary: `Make a directory in ${twin.what}, with its parents`,
    params,
    body: MakeDirBody,
    returns: { status: 200, schema: MakeDirAnswer },
    faults: [...WRITE_FAULTS, "directory_not_found", "entry_exists"],
    run: async (ctx, { params, body }) => {
      const link = await twin.open(ctx, params.id, "write", "sandbox.directory_created");
      return { entry: toFileEntry(await orInvalid(() => link.mkdir(body.path, true, true))) };
    },
  });

const removePath = (twin: Twin) =>
  operation({
    ...twin.access("write"),
    id: twin.name("removePath"),
    path: twin.path("remove"),
    summary: `Remove a file or a directory tree in ${twin.what}`,
    params,
    body: RemoveBody,
    returns: { status: 204, schema: Empty },
    faults: [...WRITE_FAULTS, "entry_not_found", "root_mutation"],
    run: async (ctx, { params, body }) => {
      const link = await twin.open(ctx, params.id, "write", "sandbox.path_removed");
      return void (await link.remove(body.path, true));
    },
  });

const filesOf = (twin: Twin) => [
  upload(twin, { id: "uploadFile", rest: "write", limitBytes: MAX_UPLOAD_BYTES }),
  download(twin, { id: "downloadFile", rest: "read", chunked: false }),
  listDir(twin),
  makeDir(twin),
  removePath(twin),
];

/** Files of capsules; the administrators' twins have no streaming pair. */
export const fileOperations = [
  ...filesOf(OWN),
  upload(OWN, { id: "streamUploadFile", rest: "stream/write" }),
  download(OWN, { id: "streamDownloadFile", rest: "stream/read", chunked: true }),
  ...filesOf(ADMIN),
];
