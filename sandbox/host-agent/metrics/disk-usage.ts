import { execFile } from "node:child_process";
import { SECOND } from "#kernel/time";

const EVERY_MS = 30 * SECOND;
const TIMEOUT_MS = 20 * SECOND;
const KIB = 1024;

let queue: Promise<unknown> = Promise.resolve();

/** `user` is who the walk runs as: it reads names that a sandbox chose, so it must not be able to do more than that. */
type Place = { path: string; user: number | undefined };

/**
 * Space that a folder's files take, for folders without a file system of their own. A walk is started at most every 30
 * seconds, one on the whole machine at a time, each for 20 seconds at most; in between the last known size holds.
 */
export class WalkedDiskUsage {
  readonly #place: Place;
  #bytes = 0;
  #next = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  bytes(): number {
    const now = performance.now();
    if (now < this.#next) return this.#bytes;
    this.#next = now + EVERY_MS;
    queue = queue.then(async () => {
      this.#bytes = (await allocatedBytes(this.#place)) ?? this.#bytes;
    });
    return this.#bytes;
  }
}

/** What `du` says; it never follows a link. Undefined when it could not tell in time. */
function allocatedBytes({ path, user }: Place): Promise<number | undefined> {
  const limits = { timeout: TIMEOUT_MS, killSignal: "SIGKILL" as const };
  const owner = user === undefined ? {} : { uid: user, gid: user };
  const surroundings = { cwd: "/", env: { PATH: process.env.PATH } };
  return new Promise((resolve) => {
    execFile("du", ["-skx", "--", path], { ...limits, ...owner, ...surroundings }, (_error, stdout) => {
      // Files that vanish while it walks make it fail, with a sum all the same.
      const kib = /^(\d+)\s/.exec(stdout)?.[1];
      resolve(kib === undefined ? undefined : Number(kib) * KIB);
    });
  });
}
