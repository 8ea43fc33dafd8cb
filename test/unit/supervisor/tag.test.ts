import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_TAG_LENGTH } from "#protocol/supervisor-values";
import { route } from "#sandbox/supervisor/call";
import { Refusal } from "#sandbox/supervisor/refusal";
import { checkTag, newTag, readSelector } from "#sandbox/supervisor/tag";

const accepted = (tag: string): boolean => {
  try {
    return checkTag(tag) === tag;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
};

test("a selector of digits is a process id, whatever else it could be (R201)", () => {
  expect(readSelector("0042")).toEqual({ pid: 42 });
  expect(readSelector("42a")).toEqual({ tag: "42a" });
  expect(readSelector("٤٢")).toEqual({ tag: "٤٢" });
});

test.for([
  ["", false],
  ["1", false],
  ["007", false],
  [".", false],
  ["..", false],
  ["a\u0000", false],
  ["\u007f", false],
  ["\u0085", false],
  ["\ud800", false],
  ["a".repeat(MAX_TAG_LENGTH + 1), false],
  ["a".repeat(MAX_TAG_LENGTH), true],
  ["...", true],
  ["-1", true],
  ["1.5", true],
  [" ", true],
  ["__proto__", true],
  ["a/../b", true],
  ["ﬀ\u202e", true],
] as const)("whether %j may be a tag: %s (R189, R201)", ([tag, may]) => {
  expect(accepted(tag)).toBe(may);
});

test("every tag that is accepted comes through a path unchanged", () => {
  const routes = { "GET /v1/processes/*/stream": async () => {}, "DELETE /v1/processes/*": async () => {} };
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 140 }).filter(accepted), (tag) => {
      const at = (end: string) => new URL(`/v1/processes/${encodeURIComponent(tag)}${end}`, "http://sandbox").pathname;
      expect(route(routes, "GET", at("/stream"))?.name).toBe(tag);
      expect(route(routes, "DELETE", at(""))?.name).toBe(tag);
    }),
  );
});

test("tags that are made up tell what they are for, and are accepted (R189, R223)", () => {
  expect(newTag(false)).toMatch(/^proc-[0-9a-f]{8}$/);
  expect(newTag(true)).toMatch(/^pty-[0-9a-f]{8}$/);
  expect(accepted(newTag(false))).toBe(true);
});
