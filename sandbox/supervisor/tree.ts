import { lstat, mkdir, readdir, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import type { FILE_SORTS, FileList, FileStat, FileTree } from "#protocol/supervisor";
import { lstatOrNothing } from "./content.ts";
import { describe, describeAt } from "./entry.ts";
import { Refusal, refusing } from "./refusal.ts";
import type { Location, Workspace } from "./workspace.ts";

export type ListOptions = {
  sortBy: (typeof FILE_SORTS)[number];
  order: "asc" | "desc";
  offset: number;
  limit: number;
};

const PARALLEL_STATS = 64;

/** What is at a location; a symlink is described, not followed. */
export function statEntry(workspace: Workspace, location: Location): Promise<FileStat> {
  if (location.parts.length === 0) return stat(workspace.root).then((stats) => describe(location.shown, stats));
  return refusing("entry_not_found", () =>
    workspace.at(location, false, ({ path }) => describeAt(path, location.shown)),
  );
}

/** The direct children of a directory, sorted, one page of them. Entries that vanish meanwhile are left out. */
export function listDirectory(workspace: Workspace, location: Location, options: ListOptions): Promise<FileList> {
  return refusing("directory_not_found", () =>
    workspace.enter(location.parts, false, async ({ base }) => {
      const names = (await readdir(base)).sort(byText);
      const page = <T>(items: readonly T[]) => items.slice(options.offset, options.offset + options.limit);
      const describeAll = (some: readonly string[]) => describeEach(base, location.shown, some);
      if (options.sortBy === "name") {
        if (options.order === "desc") names.reverse();
        return { entries: await describeAll(page(names)), total: names.length };
      }
      const entries = (await describeAll(names)).sort(comparator(options));
      return { entries: page(entries), total: entries.length };
    }),
  );
}

/** What is below a directory, down to a depth, in order of path; at most `limit` entries. */
export async function walkTree(
  workspace: Workspace,
  location: Location,
  { depth, limit }: { depth: number; limit: number },
): Promise<FileTree> {
  const found: FileStat[] = [];
  const walk = async (parts: readonly string[], shown: string, below: number): Promise<void> => {
    const children = await childrenOf(workspace, parts, shown, limit + 1 - found.length);
    for (const child of children) {
      if (found.length > limit) return;
      found.push(child);
      if (below > 1 && child.kind === "directory") {
        // One that went away, or that may not be read, shows without what is in it.
        await walk([...parts, child.name], child.path, below - 1).catch(() => {});
      }
    }
  };
  try {
    await refusing("directory_not_found", () => walk(location.parts, location.shown, depth));
  } catch (error) {
    throw (await isFile(workspace, location)) ? new Refusal("not_a_directory", "this is not a directory") : error;
  }
  return { entries: found.slice(0, limit), truncated: found.length > limit };
}

const childrenOf = (workspace: Workspace, parts: readonly string[], shown: string, most: number) =>
  workspace.enter(parts, false, async ({ base }) =>
    describeEach(base, shown, (await readdir(base)).sort(byText).slice(0, most)),
  );

const isFile = (workspace: Workspace, location: Location): Promise<boolean> =>
  location.parts.length === 0
    ? Promise.resolve(false)
    : workspace.at(location, false, async ({ path }) => !(await stat(path)).isDirectory()).catch(() => false);

async function describeEach(base: string, shown: string, names: readonly string[]): Promise<FileStat[]> {
  const found: FileStat[] = [];
  for (let at = 0; at < names.length; at += PARALLEL_STATS) {
    const batch = names.slice(at, at + PARALLEL_STATS);
    const entries = await Promise.all(
      batch.map((name) => describeAt(`${base}/${name}`, `${shown}/${name}`).catch(() => undefined)),
    );
    found.push(...entries.filter((entry) => entry !== undefined));
  }
  return found;
}

const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Ties are in order of name, so that pages never overlap. */
function comparator({ sortBy, order }: ListOptions): (a: FileStat, b: FileStat) => number {
  const sign = order === "desc" ? -1 : 1;
  const key = (a: FileStat, b: FileStat) => {
    if (sortBy === "updatedAt") return a.mtimeMs - b.mtimeMs;
    if (sortBy === "sizeBytes") return a.size - b.size;
    return byText(a.kind, b.kind);
  };
  return (a, b) => sign * key(a, b) || byText(a.name, b.name);
}

export type MakeOptions = { parents: boolean; exclusive: boolean };

/** Makes a directory; one that exists is fine unless `exclusive`, anything else in its place is `entry_conflict`. */
export async function makeDirectory(
  workspace: Workspace,
  location: Location,
  { parents, exclusive }: MakeOptions,
): Promise<FileStat> {
  const refuseExisting = () => {
    if (exclusive) throw new Refusal("entry_exists", "the directory exists");
  };
  if (location.parts.length === 0) {
    refuseExisting();
    return statEntry(workspace, location);
  }
  return refusing("directory_not_found", () =>
    workspace.at(location, parents, async ({ path }) => {
      const existing = await lstatOrNothing(path);
      if (existing && !existing.isDirectory()) throw new Refusal("entry_conflict", "something else has this name");
      if (existing) refuseExisting();
      if (!existing) await mkdir(path);
      return describeAt(path, location.shown);
    }),
  );
}

/** Renames an entry; parents of the target are made. Onto itself, nothing happens. */
export function moveEntry(
  workspace: Workspace,
  source: Location,
  target: Location,
  overwrite: boolean,
): Promise<FileStat> {
  return refusing("entry_not_found", () =>
    workspace.at(source, false, async (from) => {
      const moved = await lstat(from.path);
      if (source.shown === target.shown) return describeAt(from.path, source.shown);
      if (target.shown.startsWith(`${source.shown}/`)) {
        throw new Refusal("entry_conflict", "a directory cannot move into itself");
      }
      return workspace.at(target, true, async (to) => {
        const existing = await lstatOrNothing(to.path);
        if (existing && !overwrite) throw new Refusal("entry_exists", "the target exists");
        if (existing && existing.isDirectory() !== moved.isDirectory()) {
          throw new Refusal("entry_conflict", "the target is of another kind");
        }
        await rename(from.path, to.path);
        return describeAt(to.path, target.shown);
      });
    }),
  );
}

/** Removes an entry; a symlink goes, what it names stays. */
export function removeEntry(
  workspace: Workspace,
  location: Location,
  recursive: boolean,
): Promise<{ kind: "file" | "directory" }> {
  return refusing("entry_not_found", () =>
    workspace.at(location, false, async ({ path }) => {
      const isDirectory = (await lstat(path)).isDirectory();
      if (!isDirectory) await unlink(path);
      else if (recursive) await rm(path, { recursive: true, maxRetries: 3 });
      else await rmdir(path);
      return { kind: isDirectory ? "directory" : "file" };
    }),
  );
}
