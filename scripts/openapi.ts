import { mkdirSync, writeFileSync } from "node:fs";

/** Writes the OpenAPI document of each surface, and all of them merged, to `dist/openapi/`. */
type Documents = { documentNames(): string[]; openApiDocument(name: string): object | undefined };

// The address is computed because the Worker's sources are type-checked with other globals than Node's.
const source = new URL("../src/documents.ts", import.meta.url).href;
const { documentNames, openApiDocument } = (await import(source)) as Documents;

mkdirSync("dist/openapi", { recursive: true });
for (const name of documentNames()) {
  writeFileSync(`dist/openapi/${name}.json`, `${JSON.stringify(openApiDocument(name), null, 2)}\n`);
}
