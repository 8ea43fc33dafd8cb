import { spawn } from "node:child_process";
import { ROOT } from "#scripts/lib/paths";
import { QUIET_ENV } from "#scripts/lib/quiet";
import { Problem } from "#scripts/lib/terminal";

/** Runs a program to its end, with `stdin` as its input, without showing its output; the output explains the `Problem` when it fails. */
export function run(command: string, args: readonly string[], what: string, stdin?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...QUIET_ENV, ...process.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.end(stdin ?? "");
    let output = "";
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", (error) =>
      reject(new Problem(`${what} could not start: ${error.message}`, "Run `npm ci` first.")),
    );
    child.once("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Problem(`${what} failed (exit code ${code})`, output.trim()));
    });
  });
}
