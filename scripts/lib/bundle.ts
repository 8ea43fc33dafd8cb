import { rename } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "../..");

/** Where the bundled programs are, from the root of the repository. */
const SANDBOX_PROGRAMS = join(ROOT, "dist/sandbox");

/** Bundles the supervisor and the host agent into one file each, without leaving a half-written one behind. */
export async function bundleSandboxPrograms(outdir = SANDBOX_PROGRAMS): Promise<void> {
  for (const [name, entry] of [
    ["supervisor", "sandbox/supervisor/main.ts"],
    ["host-agent", "sandbox/host-agent/main.ts"],
  ] as const) {
    const temporary = join(outdir, `.${name}.${process.pid}.mjs`);
    await build({
      absWorkingDir: ROOT,
      entryPoints: [entry],
      outfile: temporary,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node24",
      legalComments: "none",
      logLevel: "warning",
    });
    await rename(temporary, join(outdir, `${name}.mjs`));
  }
}
