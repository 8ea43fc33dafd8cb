import { join } from "node:path";

/** The checkout these scripts belong to, whatever folder they are called from. */
export const ROOT = join(import.meta.dirname, "..", "..");
export const DIST = join(ROOT, "dist");
/** Everything a local deployment keeps: databases, objects, secrets, workspaces. */
export const DATA_DIR = join(ROOT, ".longshore");
