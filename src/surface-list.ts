import type { Surface } from "#http/surface";
import { platformSurface } from "#surfaces/platform/index";
import { runtimeSurface } from "#surfaces/runtime/index";
import { setupSurface } from "#surfaces/setup/index";

/** Version of the API documents. */
export const API_VERSION = "0.1.0";

/** Every surface that is served; where two share a path, the earlier one answers. */
export const surfaces: readonly Surface[] = [runtimeSurface, platformSurface, setupSurface];
