import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { chmod, type FileHandle, link, lstat, open, realpath, rename, rm, utimes } from "node:fs/promises";
import type { FileStat } from "#protocol/supervisor";
import { describe, describeAt, etagOf } from "./entry.ts";
import { errnoOf, Refusal, refusing } from "./refusal.ts";
import type { Location, Place, Workspace } from "./workspace.ts";

export type OpenFile = { handle: FileHandle; stat: FileStat };

/** Opens a file for reading; the caller closes it. A FIFO never blocks and, like a device, is refused. */
export function openContent(workspace: Workspace, location: Location): Promise<OpenFile> {
  if (location.parts.length === 0) throw new Refusal("file_not_found", "the workspace root is a directory");
  return refusing("file_not_found", () =>
    workspace.at(location, false, async ({ path }) => {
      const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      try {
        await workspace.confine(handle, path);
        const stats = await handle.stat();
        if (stats.isDirectory()) throw new Refusal("file_not_found", "this is a directory");
        if (!stats.isFile()) throw new Refusal("not_a_regular_file", "this is not a regular file");
        return { handle, stat: describe(location.shown, stats) };
      } catch (error) {
        await handle.close();
        throw error;
      }
    }),
  );
}

const CHUNK_BYTES = 64 * 1024;

/** The first `length` bytes of an open file, or fewer when it shrinks meanwhile. */
export async function* readChunks(handle: FileHandle, length: number): AsyncGenerator<Buffer> {
  for (let position = 0; position < length; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, length - position));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return;
    yield chunk.subarray(0, bytesRead);
    position += bytesRead;
  }
}

export type WriteOptions = { overwrite: boolean; ifMatch: string | undefined; mtimeMs: number | undefined };

/** Replaces a file atomically: the bytes go to a temporary file beside it, which then takes its name and mode. */
export function writeContent(
  workspace: Workspace,
  location: Location,
  options: WriteOptions,
  body: AsyncIterable<Buffer>,
): Promise<FileStat> {
  if (location.parts.length === 0) throw new Refusal("entry_conflict", "the workspace root is a directory");
  return refusing("directory_not_found", () =>
    workspace.at(location, true, async (place) => {
      const existing = await lstatOrNothing(place.path);
      if (existing?.isSymbolicLink()) {
        const target = await realpath(place.path).catch(() => {
          throw new Refusal("not_a_regular_file", "this symlink leads nowhere");
        });
        return writeContent(workspace, workspace.locateReal(target), options, body);
      }
      checkTarget(existing, options);
      const temporary = `${place.base}/.longshore-${randomBytes(8).toString("hex")}.tmp`;
      try {
        await fill(temporary, existing, body);
        if (options.mtimeMs !== undefined) await utimes(temporary, new Date(), new Date(options.mtimeMs));
        await publish(temporary, place, options);
      } finally {
        await rm(temporary, { force: true });
      }
      return describeAt(place.path, location.shown);
    }),
  );
}

async function fill(temporary: string, existing: Stats | undefined, body: AsyncIterable<Buffer>): Promise<void> {
  const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
  try {
    await handle.writeFile(body);
  } finally {
    await handle.close();
  }
  if (existing) await chmod(temporary, existing.mode & 0o777);
}

/** Checks once more, since the upload took time, then lets the new file appear. */
async function publish(temporary: string, { path }: Place, options: WriteOptions): Promise<void> {
  if (!options.overwrite) return link(temporary, path);
  checkTarget(await lstatOrNothing(path), options);
  await rename(temporary, path);
}

function checkTarget(existing: Stats | undefined, { overwrite, ifMatch }: WriteOptions): void {
  if (existing && !existing.isFile()) {
    throw existing.isDirectory()
      ? new Refusal("entry_conflict", "a directory is in the way")
      : new Refusal("not_a_regular_file", "this is not a regular file");
  }
  if (existing && !overwrite) throw new Refusal("entry_exists", "the file exists");
  if (ifMatch !== undefined && (!existing || etagOf(existing) !== ifMatch)) {
    throw new Refusal("precondition_failed", "the file is not the one that was expected");
  }
}

export async function lstatOrNothing(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
