import type { BuildOptions } from "esbuild";

/** How the programs of a sandbox host are bundled: each into one file that runs on Node alone, wherever it is put. */
export const BUNDLE = {
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  legalComments: "none",
  logLevel: "warning",
  // Only an agent that runs from its sources bundles anything.
  external: ["esbuild"],
} satisfies BuildOptions;
