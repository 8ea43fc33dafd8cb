import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SandboxLink } from "#domain/sandbox/ports";
import { grepArguments, grepTool } from "#domain/tool/grep";
import type { ExecResult } from "#protocol/supervisor";
import { execResult, fakeLink, memoryLink } from "#test/node/fake-link";

const grep = async (link: SandboxLink, input: object): Promise<unknown> => {
  const parsed = grepTool.input.parse(input) as never;
  const { signal } = new AbortController();
  return (await grepTool.run(parsed, { link, signal, key: "run:call", timeoutMs: null })).value;
};
const answering = (result: Partial<ExecResult>) => memoryLink(new Map(), () => result).link;

test("Grep starts grep without a shell, and neither pattern nor path can become an option", () => {
  const input = {
    pattern: "--include=x; rm",
    path: "-r",
    glob: "*.ts",
    output_mode: "content",
    ignore_case: true,
  } as const;
  const command = grepArguments(input);
  expect(command.slice(0, 1)).toEqual(["grep"]);
  expect(command.slice(-4)).toEqual(["-e", "--include=x; rm", "--", "-r"]);
  expect(command).toEqual(expect.arrayContaining(["-n", "-i", "--include=*.ts"]));
});

test.for([
  [{ exitCode: 1 }, "No matches found"],
  [{ exitCode: 0, stdout: "./a:1:x\n" }, "./a:1:x"],
  [{ exitCode: 2, stdout: "./a:1:x\n", stderr: "grep: ./b: Permission denied" }, "./a:1:x"],
] as const)("Grep that ends with %o answers %j", async ([result, answer]) => {
  expect(await grep(answering(result), { pattern: "x", output_mode: "content" })).toBe(answer);
});

test("Grep leaves out files without matches and shows 250 results", async () => {
  const counts = answering({ stdout: "./a:0\n./b:2\n" });
  expect(await grep(counts, { pattern: "x", output_mode: "count" })).toBe("./b:2");
  const many = String(await grep(answering({ stdout: "./a\n".repeat(400) }), { pattern: "x" }));
  expect(many.split("\n")).toHaveLength(251);
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "grep-"));
  mkdirSync(join(folder, "src"));
  mkdirSync(join(folder, "node_modules"));
  writeFileSync(join(folder, "src/a.ts"), "const one = 1;\nconst two = 2;\n-e x\n");
  writeFileSync(join(folder, "src/b.md"), "one\n");
  writeFileSync(join(folder, "src/c.bin"), Buffer.from("one\0two"));
  writeFileSync(join(folder, "node_modules/d.ts"), "const one = 1;\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A link that really starts the program, in the folder. */
const local = fakeLink({
  exec: ({ command }) =>
    new Promise((resolve) => {
      const [program = "", ...args] = command;
      execFile(program, args, { cwd: folder }, (error, stdout, stderr) =>
        resolve(execResult({ stdout, stderr, exitCode: error ? Number(error.code) : 0 })),
      );
    }),
});

test.for([
  [
    { pattern: "const (one|two)", output_mode: "content" },
    ["./src/a.ts:1:const one = 1;", "./src/a.ts:2:const two = 2;"],
  ],
  [{ pattern: "one" }, ["./src/a.ts", "./src/b.md"]],
  [{ pattern: "one", glob: "*.md" }, ["./src/b.md"]],
  [{ pattern: "ONE", ignore_case: true, path: "src", output_mode: "count" }, ["src/a.ts:1", "src/b.md:1"]],
  [{ pattern: "one", path: "src/a.ts" }, ["src/a.ts"]],
  [{ pattern: "-e x", output_mode: "content" }, ["./src/a.ts:3:-e x"]],
  [{ pattern: "three" }, ["No matches found"]],
] as const)("real grep for %o finds %j", async ([input, lines]) => {
  expect(
    String(await grep(local, input))
      .split("\n")
      .sort(),
  ).toEqual(lines);
});

test("real grep refuses a broken pattern and a missing path with its own message", async () => {
  await expect(grep(local, { pattern: "(" })).rejects.toThrow(/Unmatched/);
  await expect(grep(local, { pattern: "x", path: "nope" })).rejects.toThrow(/No such file/);
});
