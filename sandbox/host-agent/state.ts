import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { unmountBelow } from "./isolation/mounts.ts";

const FALLBACK = "/var/lib/longshore";
/** In a wanted folder: a link to the one taken in its place. That one's record names the wanted folder. */
const LINK = "moved-to";
const ORIGIN = "moved-from";
const FIRST_USER = 200_000;
const USER_BLOCK = 1000;
const USER_BLOCKS = 1_000_000;

/**
 * The agent's folder:
 *
 *   private/     readable by the agent alone: credentials, one record per sandbox
 *   runtime/     Node and the supervisor, bound read-only into every sandbox
 *   sandboxes/   one workspace per sandbox, each for its own host user
 *   spool/       archives of snapshots that are being sent
 *   chunks/      files of templates that are kept for the next sandbox
 *   disks/       one file per sandbox that is mounted as its workspace, where that can be done
 *   ways/        one socket per running sandbox that may reach something outside
 */
export class StateFolder {
  readonly root: string;
  readonly runtime: string;
  /** Names this folder on this machine; two agents differ in it. */
  readonly instance: string;
  readonly #private: string;
  /** Where the workspaces of sandboxes are. */
  readonly workspaces: string;
  /** Disks of sandboxes, as files. */
  readonly images: string;
  /** Where the sockets of sandboxes' proxies are. */
  readonly ways: string;
  readonly spool: string;
  readonly chunks: string;

  constructor(root: string) {
    this.root = root;
    this.runtime = join(root, "runtime");
    this.instance = createHash("sha256").update(root).digest("hex").slice(0, 16);
    this.#private = join(root, "private");
    this.workspaces = join(root, "sandboxes");
    this.images = join(root, "disks");
    this.ways = join(root, "ways");
    this.spool = join(root, "spool");
    this.chunks = join(root, "chunks");
  }

  /**
   * Opens the folder, making it first. As root its parents must let other users pass, since each sandbox has a user of
   * its own; where they do not, a folder below /var/lib/longshore is taken in its place and `moved` tells so.
   */
  static open(wanted: string | undefined): { state: StateFolder; moved: boolean } {
    const asRoot = process.getuid?.() === 0;
    const path = wanted ?? (asRoot ? join(FALLBACK, "host-agent") : join(homedir(), ".longshore", "host-agent"));
    mkdirSync(path, { recursive: true });
    const real = realpathSync(path);
    const moved = asRoot && !isPassable(dirname(real));
    const root = moved ? join(FALLBACK, createHash("sha256").update(real).digest("hex").slice(0, 12)) : real;
    const state = new StateFolder(root);
    // Without the link, what is there belonged to an earlier folder of the same name.
    const isNew = moved && linkTarget(real) !== root;
    if (isNew) {
      unmountBelow(root);
      rmSync(root, { recursive: true, force: true });
    }
    const passable = asRoot ? 0o711 : 0o700;
    for (const [folder, mode] of [
      [root, passable],
      [state.#private, 0o700],
      [join(state.#private, "sandboxes"), 0o700],
      [state.runtime, 0o755],
      [state.workspaces, passable],
      [state.images, 0o700],
      [state.ways, passable],
    ] as const) {
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, mode);
    }
    if (isNew) {
      state.write(ORIGIN, real);
      rmSync(join(real, LINK), { recursive: true, force: true });
      symlinkSync(root, join(real, LINK));
    }
    return { state, moved };
  }

  /** Folders that were taken in place of ones which are gone: nobody will ask for their sandboxes again. */
  static abandoned(): StateFolder[] {
    if (process.getuid?.() !== 0 || !existsSync(FALLBACK)) return [];
    return readdirSync(FALLBACK)
      .map((name) => new StateFolder(join(FALLBACK, name)))
      .filter((state) => {
        const origin = state.read(ORIGIN);
        return typeof origin === "string" && linkTarget(origin) !== state.root;
      });
  }

  /** First of the host user ids that belong to this folder's sandboxes. */
  get firstUser(): number {
    return FIRST_USER + (Number.parseInt(this.instance.slice(0, 8), 16) % USER_BLOCKS) * USER_BLOCK;
  }

  /** Where a sandbox's files are. */
  workspace(id: string): string {
    return join(this.workspaces, id);
  }

  /** Names of all workspaces and disks that are here. */
  places(): string[] {
    const disks = readdirSync(this.images).map((file) => file.replace(/\.ext4$/, ""));
    return [...new Set([...readdirSync(this.workspaces), ...disks])];
  }

  /** A private JSON file, undefined when it is missing or broken. */
  read(name: string): unknown {
    try {
      return JSON.parse(readFileSync(join(this.#private, `${name}.json`), "utf8"));
    } catch {
      return undefined;
    }
  }

  /** Replaces a private JSON file at once, so that a crash leaves the old or the new one. */
  write(name: string, value: unknown): void {
    const path = join(this.#private, `${name}.json`);
    const temporary = `${path}.${randomBytes(4).toString("hex")}`;
    writeFileSync(temporary, JSON.stringify(value), { mode: 0o600, flush: true });
    renameSync(temporary, path);
  }

  remove(name: string): void {
    rmSync(join(this.#private, `${name}.json`), { force: true });
  }

  /** Names of the private JSON files in a folder, without their ending. */
  names(folder: string): string[] {
    return readdirSync(join(this.#private, folder)).flatMap((file) =>
      file.endsWith(".json") ? [file.slice(0, -".json".length)] : [],
    );
  }
}

function linkTarget(folder: string): string | undefined {
  try {
    return readlinkSync(join(folder, LINK));
  } catch {
    return undefined;
  }
}

/** Whether any user may pass through a folder and all above it. */
function isPassable(folder: string): boolean {
  const isOpen = (statSync(folder).mode & 0o001) !== 0;
  return isOpen && (folder === dirname(folder) || isPassable(dirname(folder)));
}
