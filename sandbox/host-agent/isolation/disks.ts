import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { WalkedDiskUsage } from "../metrics/disk-usage.ts";
import { Images, imageBytes, SMALLEST_MB } from "./images.ts";
import { mountImage, unmountBelow, unmountImage } from "./mounts.ts";

const MIB = 1024 * 1024;
const TRIAL = ".trial";

const NO_QUOTA = "disk space: one file is limited, the sum of a sandbox's files is not";

/** What a sandbox keeps its files in. */
export interface Disk {
  /** What is not enforced for this one, in words for people. */
  readonly notes: string[];
  /** Bytes that its files take. */
  bytes(): number;
  /** How often it was seen to become full, of blocks or of inodes. */
  refused(): number;
  /** Makes the files unreachable until the next time; safe to repeat. */
  detach(): Promise<void>;
}

/** `user` is the host user a sandbox's files belong to; undefined leaves them to the agent's own. */
export type DiskInput = { id: string; workspace: string; diskMb: number; user: number | undefined };

type Options = { images: string; workspaces: string; enabled: boolean };

/**
 * The disks of one agent's sandboxes: file systems of a fixed size in sparse files, where this machine lets the agent
 * mount them. Elsewhere, and for files that were there before, plain folders.
 */
export class Disks {
  readonly #folder: string;
  readonly #images: Images;
  readonly #workspaces: string;
  /** Why no new images are made; undefined when they are. */
  readonly #obstacle: string | undefined;

  private constructor({ images, workspaces }: Options, obstacle: string | undefined) {
    this.#folder = images;
    this.#images = new Images(images);
    this.#workspaces = workspaces;
    this.#obstacle = obstacle;
  }

  /** Finds out what this machine can do by doing it once. */
  static async open(options: Options): Promise<Disks> {
    const asRoot = process.platform === "linux" && process.getuid?.() === 0;
    if (!options.enabled) return new Disks(options, "it was switched off");
    if (!asRoot) return new Disks(options, "the agent does not run as root");
    const disks = new Disks(options, undefined);
    const workspace = join(options.workspaces, TRIAL);
    try {
      await (await disks.attach({ id: TRIAL, workspace, diskMb: SMALLEST_MB, user: undefined })).detach();
      return disks;
    } catch (error) {
      return new Disks(options, error instanceof Error ? error.message.trim().replaceAll("\n", " ") : "it failed");
    } finally {
      await disks.erase(TRIAL, workspace);
    }
  }

  get unenforced(): string[] {
    return this.#obstacle === undefined ? [] : [`${NO_QUOTA} (${this.#obstacle})`];
  }

  /** Unmounts what an agent that was killed has left, once nothing of its sandboxes runs any more. */
  reap(): void {
    unmountBelow(this.#workspaces);
  }

  /** Makes a sandbox's files ready, with an empty disk when it has none yet. */
  async attach(input: DiskInput): Promise<Disk> {
    const { id, workspace, diskMb } = input;
    const image = this.#image(id);
    if (existsSync(image)) return mounted(image, input);
    if (this.#obstacle !== undefined) return plainFolder(input, []);
    // Files of the time before there were disks stay where they are.
    if (existsSync(workspace) && readdirSync(workspace).length > 0) return plainFolder(input, [NO_QUOTA]);
    await this.#images.place(image, diskMb);
    return mounted(image, input);
  }

  /** Deletes the files of a sandbox that does not run. */
  async erase(id: string, workspace: string): Promise<void> {
    const image = this.#image(id);
    if (existsSync(image)) await unmountImage(image, workspace);
    await rm(workspace, { recursive: true, force: true });
    rmSync(image, { force: true });
  }

  #image(id: string): string {
    return join(this.#folder, `${id}.ext4`);
  }
}

function plainFolder({ workspace, user }: DiskInput, notes: string[]): Disk {
  mkdirSync(workspace, { recursive: true, mode: 0o700 });
  if (user !== undefined) chownSync(workspace, user, user);
  const usage = new WalkedDiskUsage({ path: workspace, user });
  return { notes, bytes: () => usage.bytes(), refused: () => 0, detach: async () => {} };
}

async function mounted(image: string, { workspace, diskMb, user = 0 }: DiskInput): Promise<Disk> {
  await unmountImage(image, workspace);
  mkdirSync(workspace, { recursive: true, mode: 0o700 });
  chownSync(workspace, 0, 0);
  await mountImage(image, workspace);
  if (statSync(workspace).uid !== user) adopt(workspace, user);
  return new ImageDisk(image, workspace, sizeNote(image, diskMb));
}

/** Gives a new disk to its sandbox's user, without the folder that the system made for its own use. */
function adopt(workspace: string, user: number): void {
  rmSync(join(workspace, "lost+found"), { recursive: true, force: true });
  chmodSync(workspace, 0o700);
  chownSync(workspace, user, user);
}

class ImageDisk implements Disk {
  readonly notes: string[];
  readonly #image: string;
  readonly #at: string;
  #isFull: boolean;
  #timesFull = 0;

  constructor(image: string, at: string, notes: string[]) {
    this.#image = image;
    this.#at = at;
    this.notes = notes;
    this.#isFull = isFull(statfsSync(at));
  }

  bytes(): number {
    const stats = statfsSync(this.#at);
    const before = this.#isFull;
    this.#isFull = isFull(stats);
    if (this.#isFull && !before) this.#timesFull++;
    return (stats.blocks - stats.bfree) * stats.bsize;
  }

  refused(): number {
    this.bytes();
    return this.#timesFull;
  }

  detach(): Promise<void> {
    return unmountImage(this.#image, this.#at);
  }
}

const isFull = ({ bavail, ffree }: { bavail: number; ffree: number }) => bavail === 0 || ffree === 0;

/** A disk keeps the size it was made with. */
function sizeNote(image: string, diskMb: number): string[] {
  const { size } = statSync(image);
  if (size === imageBytes(diskMb)) return [];
  return [`disk space: this sandbox keeps the disk it was made with, of ${Math.floor(size / MIB)} MiB in all`];
}
