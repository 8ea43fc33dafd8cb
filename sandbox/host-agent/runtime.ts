import { constants, copyFileSync, existsSync, linkSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BUNDLE } from "../bundle.ts";

/** Puts Node and the supervisor where sandboxes can read them, whatever folder they were installed in. */
export async function installRuntime(folder: string, supervisor?: string): Promise<void> {
  installNode(join(folder, "node"));
  const target = join(folder, "supervisor.mjs");
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, await supervisorProgram(supervisor), { mode: 0o644 });
  renameSync(temporary, target);
}

/** A hard link when both are on one file system, else a copy; made anew only when the program has changed. */
function installNode(target: string): void {
  const source = statSync(process.execPath);
  const present = statSync(target, { throwIfNoEntry: false });
  if (present && present.size === source.size && present.mtimeMs >= source.mtimeMs && present.mode & 0o001) return;
  const temporary = `${target}.${process.pid}`;
  rmSync(temporary, { force: true });
  try {
    if (!(source.mode & 0o001)) throw new Error("not for everyone");
    linkSync(process.execPath, temporary);
  } catch {
    copyFileSync(process.execPath, temporary, constants.COPYFILE_FICLONE);
  }
  renameSync(temporary, target);
}

/** The bundle beside the bundled agent; an agent that runs from its sources bundles the supervisor's. */
async function supervisorProgram(path = join(import.meta.dirname, "supervisor.mjs")): Promise<Uint8Array> {
  if (existsSync(path)) return readFile(path);
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "../supervisor/main.ts")],
    ...BUNDLE,
    write: false,
  });
  const bundle = outputFiles[0];
  if (!bundle) throw new Error("the supervisor could not be bundled");
  return bundle.contents;
}
