import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readlink, realpath } from "node:fs/promises";
import { posix } from "node:path";
import { WORKSPACE_ROOT } from "#protocol/supervisor-values";
import { errnoOf, Refusal } from "./refusal.ts";

const MAX_PATH_BYTES = 4096;
const MAX_NAME_BYTES = 255;

/** A path that was checked by its letters only: `shown` is absolute as users see it, `parts` are its components. */
export type Location = { shown: string; parts: string[] };

/** An open directory of the workspace: `base` names it for system calls, whatever happens to its path meanwhile. */
export type Anchor = { base: string };

/** Where a location is on disk: its parent directory, held open, and the name in it. */
export type Place = Anchor & { path: string; name: string };

/**
 * The files below one root. Directories are entered component by component and each is checked by the descriptor that
 * was opened, so exchanging a component for a symlink between check and use gains nothing.
 */
export class Workspace {
  readonly root: string;

  /** `root` must be a real path, free of symlinks. */
  constructor(root: string) {
    this.root = root;
  }

  /** Reads a path from a request. `..` and a leading `~` are applied; one that leaves the root is `invalid_path`. */
  locate(text: string): Location {
    const path = text === "~" || text.startsWith("~/") ? `${WORKSPACE_ROOT}${text.slice(1)}` : text;
    if (path.includes("\0")) throw new Refusal("invalid_path", "a path holds a NUL byte");
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw new Refusal("invalid_path", "a path is too long");
    const shown = posix.normalize(posix.isAbsolute(path) ? path : `${WORKSPACE_ROOT}/${path}`).replace(/\/+$/, "");
    if (shown !== WORKSPACE_ROOT && !shown.startsWith(`${WORKSPACE_ROOT}/`)) {
      throw new Refusal("invalid_path", `paths are below ${WORKSPACE_ROOT}`);
    }
    const parts = shown.split("/").slice(2);
    if (parts.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES)) {
      throw new Refusal("invalid_path", "a name is too long");
    }
    return { shown, parts };
  }

  /** The same location as a path of this machine, unchecked; for a child process's working directory. */
  onDisk(location: Location): string {
    return [this.root, ...location.parts].join("/");
  }

  /** A path inside the root as its location; `path_not_allowed` for any other. */
  locateReal(real: string): Location {
    if (real !== this.root && !real.startsWith(`${this.root}/`)) {
      throw new Refusal("path_not_allowed", "the path leads out of the workspace");
    }
    return this.locate(`${WORKSPACE_ROOT}${real.slice(this.root.length)}`);
  }

  /** Refuses a descriptor whose file is outside the root. `path` is how it was opened. */
  async confine(handle: FileHandle, path: string): Promise<void> {
    const real = await readlink(`/proc/self/fd/${handle.fd}`).catch(() => realpath(path));
    this.locateReal(real);
  }

  /** Opens a directory for the time of `work`. With `create`, missing ones on the way are made. */
  async enter<T>(parts: readonly string[], create: boolean, work: (anchor: Anchor) => Promise<T>): Promise<T> {
    let handle = await open(this.root, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      let base = anchorOf(handle, this.root);
      for (const part of parts) {
        const next = await this.#step(`${base}/${part}`, create);
        base = anchorOf(next, `${base}/${part}`);
        await handle.close();
        handle = next;
      }
      return await work({ base });
    } finally {
      await handle.close();
    }
  }

  /** Opens the parent of `location` for the time of `work`; the root itself has none and is `root_mutation`. */
  async at<T>(location: Location, create: boolean, work: (place: Place) => Promise<T>): Promise<T> {
    const name = location.parts.at(-1);
    if (name === undefined) throw new Refusal("root_mutation", "the workspace root stays as it is");
    return this.enter(location.parts.slice(0, -1), create, ({ base }) => work({ base, name, path: `${base}/${name}` }));
  }

  async #step(path: string, create: boolean): Promise<FileHandle> {
    const handle = await openDirectory(path).catch(async (error) => {
      if (!create || errnoOf(error) !== "ENOENT") throw error;
      await mkdir(path).catch((failure) => {
        if (errnoOf(failure) !== "EEXIST") throw failure;
      });
      return openDirectory(path);
    });
    try {
      await this.confine(handle, path);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
}

const openDirectory = (path: string) => open(path, constants.O_RDONLY | constants.O_DIRECTORY);

/** Linux reaches below an open directory through /proc; elsewhere the path has to do. */
const anchorOf = (handle: FileHandle, path: string) =>
  process.platform === "linux" ? `/proc/self/fd/${handle.fd}` : path;
