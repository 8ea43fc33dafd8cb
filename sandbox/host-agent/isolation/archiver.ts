import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

const DIAGNOSTICS_BYTES = 4096;
/** What tar says of a full disk: of the write that failed, or of the one that was cut short. */
const IS_FULL = /No space left|File too large|: Wrote only \d+ of \d+ bytes/;

/**
 * Packs the folder it runs in as a tar file on its output, and tells the number of entries first on its error stream. Only
 * files, folders and links go in, in the order of their names; `$1` names a file for the list. Times of access, and
 * whatever else differs between two packings of the same files, stay out.
 */
const PACK = `set -e
export LC_ALL=C
find . -mindepth 1 \\( -type f -o -type d -o -type l \\) -print0 >"$1"
sort -z -S 32M -T "\${1%/*}" -o "$1" "$1"
echo "entries $(tr -cd '\\000' <"$1" | wc -c)" >&2
exec tar --create --format=pax --pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f --sparse \\
  --numeric-owner --owner=0 --group=0 --no-recursion --null --verbatim-files-from --files-from="$1"`;

const UNPACK = "exec tar --extract --preserve-permissions --no-same-owner --delay-directory-restore";

/** The archive of a full disk is larger than it: each of many small files has a header. */
export const largestArchive = (diskMb: number): number => (2 * diskMb + 64) * 1024 * 1024;

/** What packs the current folder; `list` is a path that it may write to. */
export const packCommand = (list: string): string[] => ["/bin/sh", "-c", PACK, "pack", list];

/** What unpacks its input into the current folder. */
export const unpackCommand = (): string[] => ["/bin/sh", "-c", UNPACK];

/** Waits for a packing, and answers how many entries it found. It fails with what the program said. */
export async function packed(child: ChildProcess): Promise<{ entries: number }> {
  const said = await ended(child);
  return { entries: Number(/^entries (\d+)$/m.exec(said)?.[1] ?? 0) };
}

/** Feeds an unpacking and waits for it. It fails with what failed first: the source, or else the program's words. */
export async function unpacked(child: ChildProcess, source: AsyncIterable<Buffer>): Promise<void> {
  const end = ended(child);
  end.catch(() => {});
  try {
    await pipeline(source, child.stdin as NodeJS.WritableStream);
  } catch (error) {
    // A program that gave up closes its input; what it said tells more than that.
    if ((error as NodeJS.ErrnoException).code === "EPIPE") await end;
    child.kill("SIGKILL");
    throw error;
  }
  await end;
}

type Spawned = {
  workspace: string;
  signal: AbortSignal;
  streams: ["ignore" | "pipe", number | "ignore"];
  /** Whose rights it has; the agent's own where absent. */
  user?: number;
};

/** Starts a packing or unpacking without isolation of its own. */
export function spawnArchiver(
  [program = "", ...args]: string[],
  { workspace, signal, streams, user }: Spawned,
): ChildProcess {
  return spawn(program, args, {
    cwd: workspace,
    env: { PATH: "/usr/bin:/bin" },
    stdio: [...streams, "pipe"],
    signal,
    killSignal: "SIGKILL",
    ...(user !== undefined && { uid: user, gid: user }),
  });
}

/** Lends a file for the list of what is packed. */
export async function withList<T>(work: (list: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "longshore-"));
  try {
    return await work(join(folder, "list"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function ended(child: ChildProcess): Promise<string> {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    if (said.length < DIAGNOSTICS_BYTES) said += text.slice(0, DIAGNOSTICS_BYTES - said.length);
  });
  const how = await new Promise<string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`));
  });
  if (how === null) return said;
  if (IS_FULL.test(said)) throw new Error("there is not enough room on the disk");
  throw new Error(said.trim().split("\n").slice(-3).join("\n").slice(0, 500) || how);
}
