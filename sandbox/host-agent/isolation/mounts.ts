import { execFile, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { SECOND } from "#kernel/time";
import { readOrEmpty } from "./quietly.ts";

const run = promisify(execFile);
const DEADLINE_MS = 5 * SECOND;
const POLL_MS = 10;
const DEVICES = "/sys/block";
/** What a sandbox leaves in its files is data: no device and no privilege of a program counts, inside or outside. */
const OPTIONS = "loop,nodev,nosuid,noatime,discard,noinit_itable";

/** Programs of administrators are not in everybody's PATH. */
const ENVIRONMENT = { PATH: [process.env.PATH, "/usr/sbin", "/sbin"].join(":") };

/** Runs a program of this machine; it fails with what the program said. */
export async function tool(program: string, ...args: string[]): Promise<void> {
  await run(program, args, { cwd: "/", env: ENVIRONMENT });
}

/** Mounts a file that holds an ext4 file system. */
export const mountImage = (image: string, at: string) => tool("mount", "-t", "ext4", "-o", OPTIONS, image, at);

/** Unmounts what `mountImage` did, and answers once the image is nobody's: two mounts at a time would destroy it. */
export async function unmountImage(image: string, at: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (mountsBelow(at).length > 0) {
    const isLate = performance.now() > deadline;
    await tool("umount", ...(isLate ? ["-l"] : []), at).catch(() => sleep(POLL_MS));
    if (isLate) break;
  }
  while (isAttached(image) && performance.now() < deadline) await sleep(POLL_MS);
}

/** Unmounts everything at and below a folder, which an agent that was killed may have left. */
export function unmountBelow(folder: string): void {
  const options = { cwd: "/", stdio: "ignore", env: ENVIRONMENT } as const;
  for (const at of mountsBelow(folder).reverse()) spawnSync("umount", ["-l", at], options);
}

/** Where something is mounted at or below a folder, in the order it was done. */
function mountsBelow(folder: string): string[] {
  return readOrEmpty("/proc/self/mountinfo")
    .split("\n")
    .flatMap((line) => {
      const at = unescapePath(line.split(" ")[4] ?? "");
      return at === folder || at.startsWith(`${folder}/`) ? [at] : [];
    });
}

/** The kernel writes the few characters that would break its list as octal numbers. */
const unescapePath = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Folders of the files that are mounted now, whoever did it; also of files that were deleted meanwhile. */
export const foldersOfImages = (): string[] => [...new Set(attachedFiles().map((file) => dirname(file)))];

/** Whether a block device still reads this file. */
const isAttached = (image: string): boolean => attachedFiles().includes(image);

function attachedFiles(): string[] {
  const devices = existsSync(DEVICES) ? readdirSync(DEVICES).filter((name) => name.startsWith("loop")) : [];
  return devices.flatMap((name) => readOrEmpty(join(DEVICES, name, "loop/backing_file")).trim() || []);
}
