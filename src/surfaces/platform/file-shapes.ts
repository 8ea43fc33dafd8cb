import { z } from "zod";
import { Fault, type FaultCode } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import type { FileStat } from "#protocol/supervisor";

/** A path as this contract takes it: absolute, or relative to the home directory, which is also `~` (R263, R264). */
const Path = z
  .string()
  .min(1)
  .meta({ description: "Absolute below `/workspace`, or relative to it; `~` is `/workspace`" });

export const ReadFileBody = z.object({ path: Path }).meta({ id: "ReadFileRequest" });
export const MakeDirBody = z.object({ path: Path }).meta({ id: "MakeDirRequest" });
export const RemoveBody = z.object({ path: Path }).meta({ id: "RemoveRequest" });
export const ListDirBody = z
  .object({
    path: Path,
    depth: z
      .int()
      .min(0)
      .default(1)
      .meta({ description: "1 lists the children alone, as 0 does; 2 also theirs, and so on" }),
  })
  .meta({ id: "ListDirRequest" });

export const FileEntry = z
  .object({
    name: z.string(),
    path: z.string(),
    type: z.enum(["file", "directory", "symlink"]),
    size: z.int(),
    mode: z.int(),
    permissions: z.string().meta({ description: "As `ls -l` shows them" }),
    owner: z.string(),
    group: z.string(),
    modified_at: z.int().meta({ description: "Seconds since 1970" }),
    symlink_target: z.string().nullable(),
  })
  .meta({ id: "FileEntry" });

export const ListDirAnswer = z.object({ entries: z.array(FileEntry) }).meta({ id: "ListDirResponse" });
export const MakeDirAnswer = z.object({ entry: FileEntry }).meta({ id: "MakeDirResponse" });

/** What is no file, directory or symlink, such as a socket, shows as a file; its `permissions` tell. */
export const toFileEntry = (stat: FileStat): z.input<typeof FileEntry> => ({
  name: stat.name,
  path: stat.path,
  type: stat.kind === "other" ? "file" : stat.kind,
  size: stat.size,
  mode: stat.mode,
  permissions: stat.permissions,
  owner: stat.owner,
  group: stat.group,
  modified_at: Math.floor(stat.mtimeMs / SECOND),
  symlink_target: stat.symlinkTarget,
});

/** Does `work`. Something of another kind in the way is a mistake in the request here, not a conflict (R255). */
export async function orInvalid<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const wrongKind: FaultCode[] = ["entry_conflict", "not_a_regular_file"];
    if (error instanceof Fault && wrongKind.includes(error.code)) throw new Fault("invalid", error.message);
    throw error;
  }
}
