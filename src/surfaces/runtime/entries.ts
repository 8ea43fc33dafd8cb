import mime from "mime";
import { z } from "zod";
import type { Ctx } from "#domain/context";
import type { SandboxLink } from "#domain/sandbox/ports";
import { openFiles } from "#domain/workspace/open-files";
import type { Workspace } from "#domain/workspace/repo";
import { shownWorkspaceId } from "#domain/workspace/values";
import { iso } from "#kernel/time";
import type { FileStat } from "#protocol/supervisor";
import { workspaceOfSandbox } from "#surfaces/runtime/sandboxes";
import { Id, Timestamp } from "#surfaces/runtime/values";

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

/** The files of a sandbox, and the workspace they belong to. */
async function filesOf(ctx: Ctx, sandboxId: string, to: "read" | "write"): Promise<Files> {
  const workspace = await workspaceOfSandbox(ctx, sandboxId);
  return { workspace, workspaceId: shownWorkspaceId(workspace.id), link: await openFiles(ctx, workspace, to) };
}

export const filesToRead = (ctx: Ctx, sandboxId: string): Promise<Files> => filesOf(ctx, sandboxId, "read");
export const filesToWrite = (ctx: Ctx, sandboxId: string): Promise<Files> => filesOf(ctx, sandboxId, "write");

/** What operations on files have in common. */
const common = { tag: "Files", params: z.object({ sandboxId: Id }) } as const;
export const reading = { ...common, permission: "sandbox:read" } as const;
export const writing = { ...common, permission: "sandbox:write" } as const;

/** Why a sandbox may not answer. */
export const UNREACHABLE = ["sandbox_not_found", "sandbox_not_running", "no_hosts_available", "host_lost"] as const;
const BAD_PATH = ["invalid_path", "path_not_allowed"] as const;
/** How reading and how changing files can always fail. */
export const READ_FAULTS = [...UNREACHABLE, ...BAD_PATH] as const;
export const WRITE_FAULTS = [...READ_FAULTS, "workspace_read_only"] as const;
