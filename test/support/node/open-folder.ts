import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new temporary folder that every user can pass, as the users of sandboxes must. */
export function openFolder(purpose = "test"): string {
  const folder = mkdtempSync(join(tmpdir(), `longshore-${purpose}-`));
  chmodSync(folder, 0o755);
  return folder;
}
