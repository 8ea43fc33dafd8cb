import { expect, test } from "vitest";
import { parseModels, SHELL_REF } from "#domain/model/config";
import { catalog } from "#platform/models/catalog";

const local = { provider: "openai-compatible", model: "m", url: "http://127.0.0.1:9/v1", contextWindow: 32_000 };
const config = (value: object) => JSON.stringify(value);

test("without configuration the built-in shell rule is the only model and the default", () => {
  expect(parseModels("  ")).toEqual({ defaultRef: SHELL_REF, models: new Map() });
  expect(catalog({ MODELS: "" }).list()).toEqual([
    { ref: "builtin/shell", provider: "builtin", modelName: "shell", contextWindowTokens: null, isDefault: true },
  ]);
});

test("the configured default counts, else the first model, and the shell rule stays available", () => {
  const models = { a: local, b: local };
  expect(parseModels(config({ models })).defaultRef).toBe("platform/a");
  expect(parseModels(config({ default: "b", models })).defaultRef).toBe("platform/b");
  expect(parseModels(config({ default: "platform/b", models })).defaultRef).toBe("platform/b");
  expect(parseModels(config({ default: "builtin/shell", models })).defaultRef).toBe("builtin/shell");
  expect(catalog({ MODELS: config({ models }) }).list()).toEqual([
    expect.objectContaining({ ref: "platform/a", url: local.url, contextWindowTokens: 32_000, isDefault: true }),
    expect.objectContaining({ ref: "platform/b", isDefault: false }),
    expect.objectContaining({ ref: "builtin/shell", isDefault: false }),
  ]);
});

test.for([
  ["{", "must be JSON"],
  [config({ models: { a: { ...local, provider: "acme" } } }), "models.a.provider"],
  [config({ models: { a: { ...local, url: undefined } } }), "models.a.url: openai-compatible needs"],
  [config({ models: { a: { provider: "openai", model: "m" } } }), "models.a.key: openai needs the name of the secret"],
  [config({ models: { a: { ...local, url: "ftp://x" } } }), "models.a.url"],
  [config({ models: { a: { ...local, url: "https://me:pw@x/v1" } } }), "models.a.url: must not hold a user name"],
  [config({ models: { a: { ...local, key: "sk-abc-123" } } }), "models.a.key: must be the name of a secret"],
  [config({ models: { a: { ...local, contextWindow: -1 } } }), "models.a.contextWindow"],
  [config({ models: { a: { ...local, temprature: 1 } } }), "temprature"],
  [config({ models: { "a/b": local } }), "may hold letters"],
  [config({ default: "c", models: { a: local } }), 'default: there is no model "c" among a'],
  [config({ a: local }), "models"],
] as const)("MODELS %s is refused with what is wrong", ([text, message]) => {
  expect(() => parseModels(text)).toThrow(message);
});

test("T10 a key put in place of a secret's name is not repeated in the error", () => {
  expect(() => parseModels(config({ models: { a: { ...local, key: "sk-abc-123" } } }))).not.toThrow(/sk-abc/);
});

test("references are found by full and bare name, and a missing one is refused", () => {
  const models = catalog({ MODELS: config({ models: { a: local } }) });
  expect(models.get("platform/a")).toBe(models.get("a"));
  expect(models.get(null).ref).toBe("platform/a");
  expect(models.get("builtin/shell").provider).toBe("builtin");
  expect(() => models.get("b")).toThrow(expect.objectContaining({ code: "model_not_found" }));
});

test("a catalog is made once per environment and setting", () => {
  const env = { MODELS: "" };
  expect(catalog(env)).toBe(catalog(env));
});

test("a broken setting fails the call with its reason and never falls back to another model", async () => {
  const models = catalog({ MODELS: "{" });
  expect(models.list().map(({ ref, isDefault }) => [ref, isDefault])).toEqual([["builtin/shell", false]]);
  const { signal } = new AbortController();
  const stream = models.get(null).stream({ system: "", messages: [], tools: [], signal });
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toThrow(/MODELS is not valid/);
});
