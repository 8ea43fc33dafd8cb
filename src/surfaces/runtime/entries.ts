import mime from "mime";
import { z } from "zod";
import { type Ctx, demand } from "#domain/context";
import type { SandboxLink } from "#domain/sandbox/ports";
import { sandboxLinkOf } from "#domain/sandbox/sandbox-link-of";
import type { Workspace } from "#domain/workspace/repo";
import { shownWorkspaceId } from "#domain/workspace/values";
import { Fault } from "#kernel/fault";
import { iso } from "#kernel/time";
import type { FileStat } from "#protocol/supervisor";
import { workspaceOfSandbox } from "#surfaces/runtime/sandboxes";
import { Id, Timestamp } from "#surfaces/runtime/values";

export const tag = "Files";
export const SandboxParams = z.object({ sandboxId: Id });

export const Entry = z
  .object({
    path: z.string(),
    name: z.string(),
    type: z.enum(["file", "directory"]),
    sizeBytes: z.int().min(0).optional(),
    mimeType: z.string().optional(),
    etag: z.string().optional(),
    updatedAt: Timestamp.optional(),
    createdAt: Timestamp.optional(),
    readOnly: z.boolean(),
  })
  .meta({ id: "WorkspaceEntry" });

/** Size, media type and etag are told of files alone. */
export function toEntry(stat: FileStat, workspace: Workspace): z.input<typeof Entry> {
  const { path, name } = stat;
  const times = { updatedAt: wholeIso(stat.mtimeMs), createdAt: wholeIso(stat.birthtimeMs) };
  const common = { path, name, ...times, readOnly: workspace.readOnly };
  if (stat.kind === "directory") return { ...common, type: "directory" };
  return { ...common, type: "file", sizeBytes: stat.size, mimeType: mimeTypeOf(name), etag: stat.etag };
}

export const mimeTypeOf = (name: string): string | undefined => mime.getType(name) ?? undefined;

export const wholeIso = (ms: number): string => iso(Math.trunc(ms));

type Files = { workspace: Workspace; workspaceId: string; link: SandboxLink };

/** The files of a sandbox to read; the permission is the verb's own gate. */
export async function filesOf(ctx: Ctx, sandboxId: string): Promise<Files> {
  demand(ctx.actor, "sandbox:read");
  const workspace = await workspaceOfSandbox(ctx, sandboxId);
  const link = await sandboxLinkOf(ctx, workspace.sandboxId, "sandbox:read");
  return { workspace, workspaceId: shownWorkspaceId(workspace.id), link };
}

/** The files of a sandbox to change; refuses a read-only workspace. */
export async function writableFilesOf(ctx: Ctx, sandboxId: string): Promise<Files> {
  demand(ctx.actor, "sandbox:write");
  const files = await filesOf(ctx, sandboxId);
  if (files.workspace.readOnly) throw new Fault("forbidden", "the workspace is read-only");
  return files;
}
