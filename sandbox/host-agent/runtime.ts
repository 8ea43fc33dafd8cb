import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { WORKSPACE_ROOT } from "#protocol/supervisor-values";
import { BUNDLE } from "../bundle.ts";
import { findTerminalAddon, TERMINAL_ADDON } from "../terminal-addon.ts";

/** The user of every sandbox, as seen from inside. */
export const SANDBOX_USER = { name: "sandbox", id: 1000 } as const;

/** Files of an isolated sandbox that give its user and itself a name; what belongs to others outside shows as nobody's. */
export const ACCOUNTS = {
  passwd: [
    "root:x:0:0::/:/usr/sbin/nologin",
    `${SANDBOX_USER.name}:x:${SANDBOX_USER.id}:${SANDBOX_USER.id}::${WORKSPACE_ROOT}:/bin/sh`,
    "nobody:x:65534:65534::/:/usr/sbin/nologin\n",
  ].join("\n"),
  hosts: "127.0.0.1 localhost sandbox\n::1 localhost\n",
  "nsswitch.conf": "hosts: files dns\n",
  group: ["root:x:0:", `${SANDBOX_USER.name}:x:${SANDBOX_USER.id}:`, "nogroup:x:65534:\n"].join("\n"),
} as const;

/** Puts Node and the supervisor where sandboxes can read them, whatever folder they were installed in. */
export async function installRuntime(folder: string, supervisor?: string): Promise<void> {
  installNode(join(folder, "node"));
  replace(join(folder, "supervisor.mjs"), await supervisorProgram(supervisor));
  const addon = findTerminalAddon();
  if (addon) replace(join(folder, TERMINAL_ADDON), readFileSync(addon));
  for (const [name, text] of Object.entries(ACCOUNTS)) replace(join(folder, name), text);
}

/** Puts a file in place at once: a running sandbox keeps the one that it has. */
function replace(target: string, content: string | Uint8Array): void {
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, content, { mode: 0o644 });
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
