import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const ISOLATE = ["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"];
const LIBRARIES = [
  ...["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"],
  ...["--proc", "/proc", "--dev", "/dev"],
];
const PROGRAM = "bwrap";
const ARGUMENTS = [...ISOLATE, ...LIBRARIES, "sh"];

/** Starts bubblewrap for one command that does nothing. */
export const startBubblewrap = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, [...ARGUMENTS, "-c", "/usr/bin/true"], { stdio: "ignore" });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`bwrap exited with ${code}`))));
  });

/** A shell in a bubblewrap that runs already, and does the same command as often as it is asked to. */
export class RunningBubblewrap {
  readonly #child = spawn(PROGRAM, ARGUMENTS, { stdio: ["pipe", "pipe", "inherit"] });
  readonly #lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  async run(): Promise<void> {
    this.#child.stdin.write("/usr/bin/true; echo done\n");
    const { done } = await this.#lines.next();
    if (done) throw new Error("the shell in bubblewrap has ended");
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.once("close", () => resolve());
      this.#child.stdin.end();
    });
  }
}
