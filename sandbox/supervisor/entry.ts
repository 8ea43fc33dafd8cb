import type { Stats } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import type { FileStat } from "#protocol/supervisor";

const hex = (value: number) => Math.floor(value).toString(16);

/** Weak: size, modification time in milliseconds and inode. */
export const etagOf = (stats: Stats): string => `W/"${hex(stats.size)}-${hex(stats.mtimeMs)}-${hex(stats.ino)}"`;

export function kindOf(stats: Pick<Stats, "isFile" | "isDirectory" | "isSymbolicLink">): FileStat["kind"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "other";
}

export function describe(shown: string, stats: Stats, symlinkTarget: string | null = null): FileStat {
  return {
    path: shown,
    name: shown.slice(shown.lastIndexOf("/") + 1),
    kind: kindOf(stats),
    size: stats.size,
    mtimeMs: stats.mtimeMs,
    birthtimeMs: stats.birthtimeMs,
    mode: stats.mode & 0o7777,
    etag: etagOf(stats),
    symlinkTarget,
  };
}

/** Describes what is at `path` itself: a symlink is not followed. */
export async function describeAt(path: string, shown: string): Promise<FileStat> {
  const stats = await lstat(path);
  return describe(shown, stats, stats.isSymbolicLink() ? await readlink(path) : null);
}
