import { expect, test } from "vitest";
import { parse } from "yaml";
import { surfaceApp } from "#http/surface-app";
import { call } from "#test/worker/harness";
import { surfaces } from "../../src/surface-list.ts";

// Who may use which operation is the authorization matrix, in test/worker/matrix.

test.for(surfaces.map((surface) => [surface.name, surface] as const))(
  "every route of %s is in its document, every operation of the document is a route, and each is named once (T2)",
  async ([name, surface]) => {
    const { body } = await call("GET", `/openapi/${name}.json`);
    const routes = surfaceApp(surface).routes.map(
      ({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`,
    );
    const documented = Object.entries(body.paths as Record<string, Record<string, { operationId: string }>>).flatMap(
      ([path, item]) => Object.entries(item).map(([method, { operationId }]) => [`${method} ${path}`, operationId]),
    );
    const upper = documented.map(([route = ""]) => route.replace(/^\w+/, (method) => method.toUpperCase()));
    expect([...new Set(routes)].sort()).toEqual(upper.sort());
    const ids = documented.map(([, id]) => id);
    expect(ids.sort()).toEqual(surface.operations.map(({ id }) => id).sort());
    expect(new Set(ids).size).toBe(ids.length);
  },
);

test.for(
  surfaces.flatMap((surface) => surface.operations.map((op) => [`${surface.name}.${op.id}`, surface, op] as const)),
)("%s says in its document what it needs (T2)", async ([, surface, op]) => {
  const document = await call("GET", `/openapi/${surface.name}.json`);
  const { security } = document.body.paths[op.path][op.method];
  expect(security.length === 0).toBe(op.permission === null);
});

test("an unknown route answers in the surface's shape, and what is no operation answers too", async () => {
  expect(await call("GET", "/api/v1/nothing")).toMatchObject({
    status: 404,
    body: { error: { code: "route_not_found" } },
  });
  for (const path of ["/openapi/setup.json", "/docs", "/", "/healthz", "/readyz"]) {
    expect((await call("GET", path)).status, path).toBe(200);
  }
});

test("the document of all surfaces is the same in JSON and YAML, and names each operation once", async () => {
  const [json, yaml] = [await call("GET", "/openapi.json"), await call("GET", "/openapi.yaml")];
  expect(yaml).toMatchObject({ status: 200, text: expect.stringMatching(/^openapi: 3\.1\.0\n/) });
  expect(yaml.headers.get("content-type")).toBe("application/yaml");
  expect(parse(yaml.text)).toEqual(json.body);
  const items = Object.values(json.body.paths as Record<string, Record<string, { operationId: string }>>);
  const ids = items.flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
  expect(new Set(ids).size).toBe(ids.length);
  const references = [...json.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name);
  expect(references.filter((name) => !json.body.components.schemas[name!])).toEqual([]);
});
