import { expect, test } from "vitest";
import { cutMiddle } from "#domain/tool/text";
import { type Tool, toolSpec } from "#domain/tool/tool";
import { NATIVE_TOOLS } from "#domain/tool/tools";
import type { ExecRequest, ExecResult } from "#protocol/supervisor";
import { memoryLink } from "#test/node/fake-link";

const bytes = (text: string) => new TextEncoder().encode(text);
const tool = (name: string): Tool => NATIVE_TOOLS.find((known) => known.name === name)!;

function world(files: Record<string, string | Uint8Array> = {}, exec?: (request: ExecRequest) => Partial<ExecResult>) {
  const stored = new Map(
    Object.entries(files).map(([path, content]) => [path, typeof content === "string" ? bytes(content) : content]),
  );
  const memory = memoryLink(stored, exec);
  const run = async (name: string, input: object, timeoutMs: number | null = null) => {
    const { link } = memory;
    const parsed = tool(name).input.parse(input) as never;
    const output = await tool(name).run(parsed, {
      link,
      signal: new AbortController().signal,
      key: "run:call",
      timeoutMs,
    });
    return output.value as string;
  };
  return { ...memory, run };
}

test("models are told of every tool with a closed JSON Schema and without a dialect", () => {
  const specs = NATIVE_TOOLS.map(toolSpec);
  expect(specs.map(({ name }) => name)).toEqual(["Bash", "Read", "Write", "Edit", "Glob", "Grep"]);
  for (const { inputSchema, description } of specs) {
    expect(inputSchema).toMatchObject({ type: "object", properties: expect.any(Object), required: expect.any(Array) });
    expect(inputSchema).not.toHaveProperty("$schema");
    expect(description.length).toBeGreaterThan(20);
  }
  expect(toolSpec(NATIVE_TOOLS[0]!)).toBe(specs[0]);
});

test("only tools that change nothing are safe to repeat", () => {
  expect(NATIVE_TOOLS.filter(({ retry }) => retry === "safe").map(({ name }) => name)).toEqual([
    "Read",
    "Glob",
    "Grep",
  ]);
});

test("Bash answers with both streams and the exit code, under the call's key", async () => {
  const { run, commands } = world({}, () => ({ stdout: "out\n", stderr: "err\n", exitCode: 3 }));
  expect(await run("Bash", { command: "make" })).toBe("out\n[stderr]\nerr\n[exit code 3]");
  expect(commands[0]).toMatchObject({ execId: "run:call", command: "make", timeoutMs: 120_000 });
});

test("H4: Bash says which limit of the sandbox a command ran into", async () => {
  const { run } = world({}, () => ({ exitCode: 137, signal: "SIGKILL", limit: "memory" }));
  const line = "[exit code 137, ended by SIGKILL, the sandbox reached its limit of memory]";
  expect(await run("Bash", { command: "make" })).toBe(line);
});

test.for([
  [undefined, null, 120_000],
  [5_000, null, 5_000],
  [600_000, 30_000, 30_000],
  [undefined, 30_000, 30_000],
] as const)("Bash with timeout %s and a limit of %s gets %i ms", async ([timeout, limit, timeoutMs]) => {
  const { run, commands } = world();
  await run("Bash", { command: "x", ...(timeout !== undefined && { timeout }) }, limit);
  expect(commands[0]!.timeoutMs).toBe(timeoutMs);
});

test("Bash refuses a timeout over ten minutes", async () => {
  await expect(world().run("Bash", { command: "x", timeout: 600_001 })).rejects.toThrow();
});

test("Bash that ran out of time fails with what it had written", async () => {
  const { run } = world({}, () => ({ stdout: "so far", timedOut: true, exitCode: 137, signal: "SIGKILL" }));
  await expect(run("Bash", { command: "x", timeout: 50 })).rejects.toMatchObject({
    code: "tool_timed_out",
    message: expect.stringMatching(/so far[\s\S]*after its 50 ms timeout/),
  });
});

test("Bash output over 30,000 characters keeps its head and tail", async () => {
  const { run } = world({}, () => ({ stdout: `HEAD${"x".repeat(100_000)}TAIL` }));
  const text = await run("Bash", { command: "x" });
  expect(text.length).toBeLessThan(30_100);
  expect(text).toMatch(/^HEADx/);
  expect(text).toMatch(/xTAIL\n\[exit code 0\]$/);
  expect(text).toContain("characters left out");
});

test("cutting text never splits a character in two", () => {
  for (let limit = 100; limit < 110; limit++) expect(cutMiddle("😀".repeat(200), limit).isWellFormed()).toBe(true);
});

test("Read numbers the lines and pages through a file", async () => {
  const { run } = world({ a: "one\ntwo\nthree\nfour\n" });
  expect(await run("Read", { file_path: "a" })).toBe("     1\tone\n     2\ttwo\n     3\tthree\n     4\tfour");
  expect(await run("Read", { file_path: "a", offset: 2, limit: 2 })).toBe(
    "     2\ttwo\n     3\tthree\n[lines 2 to 3 of 4]",
  );
  await expect(run("Read", { file_path: "a", offset: 9 })).rejects.toThrow("a has 4 lines; there is no line 9");
});

test("Read shows 2,000 lines, cuts long ones, and says when a file is empty", async () => {
  const { run } = world({ many: "x\n".repeat(5_000), long: "y".repeat(9_000), empty: "" });
  expect(await run("Read", { file_path: "many" })).toMatch(/ 2000\tx\n\[lines 1 to 2000 of 5000\]$/);
  expect(await run("Read", { file_path: "long" })).toMatch(/^ {5}1\ty{2000}\.\.\. \[line cut\]$/);
  expect(await run("Read", { file_path: "empty" })).toBe("[the file is empty]");
});

test.for([
  ["nul", new Uint8Array([65, 0, 66])],
  ["latin1", new Uint8Array([0xe9, 0x74])],
] as const)("Read and Edit refuse a binary file (%s)", async ([name, content]) => {
  const { run } = world({ [name]: content });
  await expect(run("Read", { file_path: name })).rejects.toThrow("binary");
  await expect(run("Edit", { file_path: name, old_string: "A", new_string: "B" })).rejects.toThrow("binary");
});

test("Read of a missing file and of a huge one says why", async () => {
  const { run } = world({ huge: new Uint8Array(10 * 1024 * 1024 + 1).fill(65) });
  await expect(run("Read", { file_path: "nope" })).rejects.toThrow("nope does not exist");
  await expect(run("Read", { file_path: "huge" })).rejects.toThrow("cannot be opened as text");
});

test("Read refuses a file that turns out longer than it was said to be", async () => {
  const { run, link } = world({ growing: "short" });
  const { stat } = await link.read("growing");
  const body = new Blob([new Uint8Array(10 * 1024 * 1024 + 1).fill(65)]).stream();
  link.read = async () => ({ stat, body });
  await expect(run("Read", { file_path: "growing" })).rejects.toThrow("cannot be opened as text");
});

test("Write stores the content and reports its size", async () => {
  const { run, text } = world();
  expect(await run("Write", { file_path: "new", content: "héllo" })).toBe("Wrote 6 bytes to new");
  expect(text("new")).toBe("héllo");
});

test("Edit replaces exact text and keeps everything else, byte order mark and line ends included", async () => {
  const { run, text } = world({ a: "\uFEFFone\r\ntwo $& two\r\n" });
  expect(await run("Edit", { file_path: "a", old_string: "one", new_string: "$& $1" })).toBe(
    "Replaced 1 occurrence in a",
  );
  expect(text("a")).toBe("\uFEFF$& $1\r\ntwo $& two\r\n");
  expect(await run("Edit", { file_path: "a", old_string: "two", new_string: "2", replace_all: true })).toContain(
    "2 occurrences",
  );
});

test.for([
  [{ old_string: "two", new_string: "2" }, "old_string is 2 times in a"],
  [{ old_string: "three", new_string: "3" }, "old_string is not in a"],
  [{ old_string: "one", new_string: "one" }, "are the same"],
] as const)("Edit %o is refused and changes nothing", async ([edit, message]) => {
  const { run, text } = world({ a: "one two two" });
  await expect(run("Edit", { file_path: "a", ...edit })).rejects.toThrow(message);
  expect(text("a")).toBe("one two two");
});

test("Glob shows the newest hundred and says when there are more", async () => {
  const files = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`f${i}`, "x"]));
  const text = await world(files).run("Glob", { pattern: "**" });
  expect(text.split("\n")).toHaveLength(101);
  expect(text).toContain("only the 100 newest");
  expect(await world().run("Glob", { pattern: "**" })).toBe("No files found");
});
