import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Name of the native part of terminals, wherever it is put: it lies beside the bundled programs. */
export const TERMINAL_ADDON = "pty.node";

/** The native part of terminals for this machine; undefined where there is none. */
export function findTerminalAddon(): string | undefined {
  const beside = join(import.meta.dirname, TERMINAL_ADDON);
  if (existsSync(beside)) return beside;
  try {
    const library = fileURLToPath(import.meta.resolve("@lydell/node-pty"));
    return createRequire(library).resolve(`@lydell/node-pty-${process.platform}-${process.arch}/${TERMINAL_ADDON}`);
  } catch {
    return undefined;
  }
}
