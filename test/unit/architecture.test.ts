import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** What each layer may import; the arrows of the README, checked. */
const MAY_IMPORT: Record<string, string[]> = {
  "src/kernel": ["#kernel"],
  schema: ["#kernel", "#domain"],
  "src/domain": ["#kernel", "#domain", "#schema", "#protocol"],
  "src/protocol": ["#kernel", "#protocol"],
  "src/platform": ["#kernel", "#domain", "#schema", "#protocol", "#platform"],
  "durable-objects": ["#kernel", "#domain", "#schema", "#protocol", "#platform", "#objects"],
  "src/http": ["#kernel", "#domain", "#protocol", "#http"],
  "src/surfaces/platform": ["#kernel", "#domain", "#http", "#protocol", "#surfaces/platform"],
  "src/surfaces/runtime": ["#kernel", "#domain", "#http", "#protocol", "#surfaces/runtime"],
  "src/surfaces/chunks": ["#kernel", "#domain", "#http", "#protocol"],
  "src/surfaces/extras": ["#kernel", "#domain", "#http", "#surfaces/extras"],
  "src/surfaces/setup": ["#kernel", "#domain", "#http", "#surfaces/setup"],
  sandbox: ["#kernel", "#protocol", "#sandbox"],
};

/** Packages a layer must not know of. */
const MUST_NOT_IMPORT: Record<string, RegExp> = {
  "src/kernel": /^(hono|zod|drizzle|cloudflare:|node:|@)/,
  "src/domain": /^(hono|@hono|cloudflare:|node:|ai$|@ai-sdk)/,
  "src/protocol": /^(hono|@hono|drizzle|cloudflare:|node:)/,
  sandbox: /^(hono|@hono|drizzle|cloudflare:)/,
};

const imports = (file: string) =>
  [...readFileSync(file, "utf8").matchAll(/(?:from|import) "([^"]+)"/g)].map(([, target]) => target as string);

const under = (folder: string) => globSync(`${folder}/**/*.ts`);

test.for(Object.entries(MAY_IMPORT))("%s imports only %o", ([folder, allowed]) => {
  const strays = under(folder).flatMap((file) =>
    imports(file)
      .filter((target) => target.startsWith("#"))
      .filter((target) => !allowed.some((prefix) => target === prefix || target.startsWith(`${prefix}/`)))
      .map((target) => `${file} -> ${target}`),
  );
  expect(strays).toEqual([]);
});

test.for(Object.entries(MUST_NOT_IMPORT))("%s stays free of %o", ([folder, banned]) => {
  const strays = under(folder).flatMap((file) =>
    imports(file)
      .filter((target) => banned.test(target))
      .map((target) => `${file} -> ${target}`),
  );
  expect(strays).toEqual([]);
});

test("every source folder has a rule", () => {
  const folders = ["schema", "durable-objects", "sandbox", ...globSync("src/*/"), ...globSync("src/surfaces/*/")];
  const ruled = (folder: string) => Object.keys(MAY_IMPORT).some((rule) => folder.replace(/\/$/, "") === rule);
  expect(folders.filter((folder) => !folder.match(/^src\/surfaces\/?$/) && !ruled(folder))).toEqual([]);
});

test("no file grows past 400 lines", () => {
  const all = ["src", "durable-objects", "schema", "sandbox", "scripts", "test"].flatMap(under);
  const long = all.filter((file) => readFileSync(file, "utf8").split("\n").length > 400);
  expect(long).toEqual([]);
});
