import type { Surface } from "#http/surface";
import { surfaceApp } from "#http/surface-app";

type Json = Record<string, unknown>;

/** One operation in a document, as far as this product looks into it. */
export type DocumentedOperation = {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  security: object[];
  "x-permission"?: string;
  parameters?: { name: string; in: string; required: boolean; description?: string; schema: object }[];
  requestBody?: { content: object };
  responses: Record<string, { description: string; content?: object }>;
};

type Document = {
  openapi: string;
  info: Json;
  servers: Json[];
  tags: Json[];
  /** Operations by path, then by method in lower case. */
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Json; securitySchemes: Json };
};

/** The OpenAPI 3.1 document of a surface, paths as served. Nothing but the surface goes into it. */
export function documentOf(surface: Surface, version: string): Document {
  const { title, description, operations } = surface;
  const tags = [...new Set(operations.map((op) => op.tag))].map((name) => ({ name }));
  const info = { title, version, description };
  const config = { openapi: "3.1.0", info, servers: [{ url: "/" }], tags };
  const generated = surfaceApp(surface).getOpenAPI31Document(config, { sortComponents: "alphabetically" });
  const { paths, components } = generated as unknown as Document;
  const { schemas, securitySchemes } = components;
  return { ...config, paths, components: { schemas, securitySchemes } };
}

/** All surfaces in one document; tags, schemas and operation ids carry the surface's name, so that none clash. */
export function mergedDocument(surfaces: readonly Surface[], version: string): Document {
  const merged: Document = {
    openapi: "3.1.0",
    info: { title: "Longshore", version },
    servers: [{ url: "/" }],
    tags: surfaces.map(({ name }) => ({ name })),
    paths: {},
    components: { schemas: {}, securitySchemes: {} },
  };
  for (const surface of surfaces) add(merged, surface.name, documentOf(surface, version));
  return merged;
}

/** Where two surfaces serve the same operation, the earlier one answers it, and is the one described. */
function add({ paths, components }: Document, surface: string, document: Document): void {
  const added = withPrefixedReferences(document, `${surface}.`);
  for (const [path, item] of Object.entries(added.paths)) {
    for (const op of Object.values(item)) {
      op.operationId = `${surface}.${op.operationId}`;
      op.tags = [surface];
    }
    paths[path] = { ...item, ...paths[path] };
  }
  for (const [name, schema] of Object.entries(added.components.schemas)) {
    components.schemas[`${surface}.${name}`] = schema;
  }
  Object.assign(components.securitySchemes, added.components.securitySchemes);
}

function withPrefixedReferences(document: Document, prefix: string): Document {
  const text = JSON.stringify(document);
  return JSON.parse(text.replaceAll('"#/components/schemas/', `$&${prefix}`)) as Document;
}
