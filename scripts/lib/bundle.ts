import { copyFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { BUNDLE } from "#sandbox/bundle";
import { findTerminalAddon, TERMINAL_ADDON } from "#sandbox/terminal-addon";
import { DIST, ROOT } from "#scripts/lib/paths";

/** Where the bundled programs are. */
export const SANDBOX_PROGRAMS = join(DIST, "sandbox");

/**
 * Bundles the supervisor and the agents into one file each, without leaving a half-written one behind. The native
 * part of terminals is put beside them.
 */
export async function bundleSandboxPrograms(outdir = SANDBOX_PROGRAMS): Promise<void> {
  for (const [name, entry] of [
    ["supervisor", "sandbox/supervisor/main.ts"],
    ["host-agent", "sandbox/host-agent/main.ts"],
    ["container-agent", "sandbox/container-agent/main.ts"],
  ] as const) {
    const temporary = join(outdir, `.${name}.${process.pid}.mjs`);
    await build({
      absWorkingDir: ROOT,
      entryPoints: [entry],
      outfile: temporary,
      ...BUNDLE,
    });
    await rename(temporary, join(outdir, `${name}.mjs`));
  }
  const addon = findTerminalAddon();
  if (!addon) return;
  const temporary = join(outdir, `.${TERMINAL_ADDON}.${process.pid}`);
  await copyFile(addon, temporary);
  await rename(temporary, join(outdir, TERMINAL_ADDON));
}
