import type { Stats } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import type { FileStat } from "#protocol/supervisor";
import { Owners } from "./owners.ts";

const hex = (value: number) => Math.floor(value).toString(16);

/** Weak: size, modification time in milliseconds and inode. */
export const etagOf = (stats: Stats): string => `W/"${hex(stats.size)}-${hex(stats.mtimeMs)}-${hex(stats.ino)}"`;

export function kindOf(stats: Pick<Stats, "isFile" | "isDirectory" | "isSymbolicLink">): FileStat["kind"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "other";
}

const TYPES: Record<number, string> = { 1: "p", 2: "c", 4: "d", 6: "b", 8: "-", 10: "l", 12: "s" };

/** As `ls -l` shows it: the type, then what owner, group and others may do. */
export function permissionsOf({ mode }: Pick<Stats, "mode">): string {
  const may = (shift: number, special: number, letter: string) => {
    const [read, write, execute] = [4, 2, 1].map((bit) => (mode >> shift) & bit);
    const plain = execute ? "x" : "-";
    const last = mode & special ? (execute ? letter : letter.toUpperCase()) : plain;
    return `${read ? "r" : "-"}${write ? "w" : "-"}${last}`;
  };
  return `${TYPES[mode >> 12] ?? "?"}${may(6, 0o4000, "s")}${may(3, 0o2000, "s")}${may(0, 0o1000, "t")}`;
}

let known: Owners | undefined;

function owners(): Owners {
  known ??= new Owners();
  return known;
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
    permissions: permissionsOf(stats),
    owner: owners().user(stats.uid),
    group: owners().group(stats.gid),
    etag: etagOf(stats),
    symlinkTarget,
  };
}

/** Describes what is at `path` itself: a symlink is not followed. */
export async function describeAt(path: string, shown: string): Promise<FileStat> {
  const stats = await lstat(path);
  return describe(shown, stats, stats.isSymbolicLink() ? await readlink(path) : null);
}
