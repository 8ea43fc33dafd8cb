import type { Surface } from "#http/surface";
import { chunkSurface } from "#surfaces/chunks/index";
import { extrasSurface } from "#surfaces/extras/index";
import { platformSurface } from "#surfaces/platform/index";
import { runtimeSurface } from "#surfaces/runtime/index";
import { setupSurface } from "#surfaces/setup/index";

/** Every surface that is served; where two share a path, the earlier one answers. */
export const surfaces: readonly Surface[] = [
  runtimeSurface,
  platformSurface,
  extrasSurface,
  setupSurface,
  chunkSurface,
];
