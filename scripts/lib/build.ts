import { join } from "node:path";
import { DIST, ROOT } from "#scripts/lib/paths";
import { run } from "#scripts/lib/run";

/** Bundles the Worker to dist/worker/worker.js exactly as a deploy would. */
export async function buildWorker(): Promise<void> {
  await run(
    join(ROOT, "node_modules", ".bin", "wrangler"),
    ["deploy", "--dry-run", "--outdir", join(DIST, "worker")],
    "Bundling the Worker",
  );
}
