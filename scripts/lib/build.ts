import { join } from "node:path";
import { bundleSandboxPrograms } from "#scripts/lib/bundle";
import { DIST, ROOT } from "#scripts/lib/paths";
import { run } from "#scripts/lib/run";

/** Bundles the Worker to dist/worker/worker.js exactly as a deploy would. */
export const buildWorker = (): Promise<void> => bundle("src/worker.ts", "worker");

/** Bundles an entry of the Worker to dist/`name`/. */
export async function bundle(entry: string, name: string): Promise<void> {
  await run(
    join(ROOT, "node_modules", ".bin", "wrangler"),
    ["deploy", join(ROOT, entry), "--dry-run", "--outdir", join(DIST, name)],
    `Bundling ${entry}`,
  );
}

/** Everything that `npm start` runs: the Worker, and the programs of the sandbox hosts. */
export async function buildAll(): Promise<void> {
  await Promise.all([buildWorker(), bundleSandboxPrograms()]);
}
