import { documentOf, mergedDocument } from "#http/openapi";
import { VERSION } from "#http/version";
import { surfaces } from "./surface-list.ts";

/** Name of the document that holds all surfaces. */
export const MERGED = "merged";

/** The OpenAPI document of one surface, or of all of them. Rendering takes a moment; keep the result. */
export function openApiDocument(name: string): object | undefined {
  if (name === MERGED) return mergedDocument(surfaces, VERSION);
  const surface = surfaces.find((one) => one.name === name);
  return surface && documentOf(surface, VERSION);
}

export const documentNames = (): string[] => [...surfaces.map(({ name }) => name), MERGED];
