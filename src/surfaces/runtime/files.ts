import { z } from "zod";
import { operation } from "#http/operation";
import { OffsetQuery, queryBoolean } from "#http/query";
import { offsetPage } from "#kernel/page";
import { FILE_SORTS, WORKSPACE_ROOT } from "#protocol/supervisor";
import {
  Entry,
  filesToRead,
  filesToWrite,
  READ_FAULTS,
  reading,
  toEntry,
  WRITE_FAULTS,
  writing,
} from "#surfaces/runtime/entries";
import { Id, NonEmpty } from "#surfaces/runtime/values";

const EntryPage = z
  .object({ workspaceId: Id, path: z.string(), items: z.array(Entry), nextCursor: z.string().optional() })
  .meta({ id: "WorkspaceEntryPage" });
const FileStatResource = z
  .object({
    kind: z.enum(["file", "directory"]),
    size: z.int().min(0),
    mtimeMs: z.number().min(0),
    birthtimeMs: z.number().min(0),
    path: z.string(),
  })
  .meta({ id: "SandboxFileStat" });
const DeleteResult = z
  .object({ workspaceId: Id, path: z.string(), type: z.enum(["file", "directory"]), deleted: z.boolean() })
  .meta({ id: "WorkspaceDeleteResult" });
const DirectoryBody = z
  .object({ path: NonEmpty, createParents: z.boolean().default(true) })
  .meta({ id: "CreateWorkspaceDirectoryRequest" });
const MoveBody = z
  .object({ sourcePath: NonEmpty, targetPath: NonEmpty, overwrite: z.boolean().default(false) })
  .meta({ id: "MoveWorkspaceEntryRequest" });

const base = "/api/v1/sandboxes/{sandboxId}";

/** Directories and the entries in them; contents are in `file-contents`. */
export const fileOperations = [
  operation({
    ...reading,
    id: "listSandboxEntries",
    method: "get",
    path: `${base}/files/entries`,
    summary: "List what is directly in a directory, hidden entries included",
    query: OffsetQuery.extend({
      path: z.string().default(WORKSPACE_ROOT),
      sortBy: z.enum(FILE_SORTS).default("name"),
      sortOrder: z.enum(["asc", "desc"]).default("asc"),
    }),
    returns: { status: 200, schema: EntryPage },
    faults: [...READ_FAULTS, "directory_not_found"],
    run: async (ctx, { params, query }) => {
      const { workspace, workspaceId, link } = await filesToRead(ctx, params.sandboxId);
      const { pageSize: limit, offset } = offsetPage(query.pageSize, query.cursor);
      const path = query.path === "" ? WORKSPACE_ROOT : query.path;
      const { entries, total } = await link.list(path, { sortBy: query.sortBy, order: query.sortOrder, offset, limit });
      return {
        workspaceId,
        path,
        items: entries.map((stat) => toEntry(stat, workspace)),
        ...(offset + entries.length < total && entries.length > 0 && { nextCursor: String(offset + limit) }),
      };
    },
  }),
  operation({
    ...reading,
    id: "getSandboxFileStat",
    method: "get",
    path: `${base}/files/stat`,
    summary: "Show kind, size and times of an entry",
    query: z.object({ path: NonEmpty }),
    returns: { status: 200, schema: FileStatResource },
    faults: [...READ_FAULTS, "entry_not_found"],
    run: async (ctx, { params, query }) => {
      const { link } = await filesToRead(ctx, params.sandboxId);
      const { kind, ...stat } = await link.stat(query.path);
      return { ...stat, kind: kind === "directory" ? ("directory" as const) : ("file" as const) };
    },
  }),
  operation({
    ...writing,
    id: "deleteSandboxEntry",
    method: "delete",
    path: `${base}/files/entry`,
    summary: "Delete a file or a directory",
    query: z.object({ path: NonEmpty, recursive: queryBoolean(false) }),
    returns: { status: 200, schema: DeleteResult },
    faults: [...WRITE_FAULTS, "entry_not_found", "directory_not_empty", "root_mutation"],
    run: async (ctx, { params, query }) => {
      const { workspaceId, link } = await filesToWrite(ctx, params.sandboxId);
      const { kind } = await link.remove(query.path, query.recursive);
      return { workspaceId, path: query.path, type: kind, deleted: true };
    },
  }),
  operation({
    ...writing,
    id: "moveSandboxEntry",
    method: "patch",
    path: `${base}/files/move`,
    summary: "Move or rename an entry; missing parents of the target are made",
    body: MoveBody,
    returns: { status: 200, schema: Entry },
    faults: [...WRITE_FAULTS, "entry_not_found", "entry_exists", "root_mutation"],
    run: async (ctx, { params, body }) => {
      const { workspace, link } = await filesToWrite(ctx, params.sandboxId);
      return toEntry(await link.move(body.sourcePath, body.targetPath, body.overwrite), workspace);
    },
  }),
  operation({
    ...writing,
    id: "createSandboxDirectory",
    method: "post",
    path: `${base}/directories`,
    summary: "Make a directory; one that is there already is fine",
    body: DirectoryBody,
    creates: true,
    returns: { status: 201, schema: Entry },
    faults: [...WRITE_FAULTS, "entry_conflict", "directory_not_found"],
    run: async (ctx, { params, body }) => {
      const { workspace, link } = await filesToWrite(ctx, params.sandboxId);
      return toEntry(await link.mkdir(body.path, body.createParents), workspace);
    },
  }),
];
