import { PassThrough, Writable } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { ProcessLine } from "#protocol/supervisor";
import { BackgroundProcess } from "#sandbox/supervisor/background";
import { follow } from "#sandbox/supervisor/follow";
import type { End } from "#sandbox/supervisor/source";

const open: Writable[] = [];
afterEach(() => {
  for (const out of open.splice(0)) out.destroy();
});

/** A process whose output and end the test decides. */
function puppet(keep = 64 * 1024) {
  const [stdout, end] = [new PassThrough(), Promise.withResolvers<End>()];
  const source = { pid: 42, outputs: [{ stream: "stdout" as const, readable: stdout }], end: end.promise };
  const info = { pid: 42, tag: "p", command: "x", args: [], startedAtMs: 0, tty: false };
  const mark = { rootPid: null, marker: "x", fileSizeLimit: 1 };
  const launch = { mark, file: "/bin/sh", args: [], cwd: "/", env: {} };
  const process = new BackgroundProcess(info, { ...source, input: null, resize: null }, launch, keep);
  const exit = (code: number) => {
    end.resolve({ code, signal: null });
    stdout.destroy();
  };
  return { process, stdout, exit };
}

/** A reader that takes nothing until it is opened. */
function reader(isOpen: boolean) {
  const lines: ProcessLine[] = [];
  const gate = Promise.withResolvers<void>();
  if (isOpen) gate.resolve();
  const out = new Writable({
    highWaterMark: 1024,
    decodeStrings: false,
    async write(text: string, _encoding, done) {
      await gate.promise;
      for (const line of text.trimEnd().split("\n")) lines.push(ProcessLine.parse(JSON.parse(line)));
      done();
    },
  });
  open.push(out);
  return { out, lines, open: gate.resolve };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a silent stream says that it lives, and ends with the exit", async () => {
  const { process, exit } = puppet();
  const { out, lines } = reader(true);
  const done = follow(process, 0, out, 5);
  while (lines.length < 4) await settle();
  exit(3);
  await done;
  await new Promise((resolve) => out.once("finish", resolve));
  expect(lines[0]).toEqual({ type: "start", pid: 42, tag: "p", offset: 0 });
  expect(lines.slice(1, 3)).toEqual([{ type: "ping" }, { type: "ping" }]);
  expect(lines.at(-1)).toEqual({ type: "exit", exitCode: 3, signal: null });
});

test("S3: a reader that does not read is sent nothing more, and told of the gap when it does", async () => {
  const { process, stdout, exit } = puppet(4096);
  const slow = reader(false);
  const done = follow(process, 0, slow.out, 5);
  for (let index = 0; index < 200; index++) {
    stdout.write(Buffer.alloc(4096, index));
    await settle();
    expect(slow.out.writableLength).toBeLessThan(16 * 1024);
  }
  expect(process.ring.end).toBe(200 * 4096);
  slow.open();
  exit(0);
  await done;
  await new Promise((resolve) => slow.out.once("finish", resolve));
  const gap = slow.lines.find((line) => line.type === "gap");
  expect(gap?.to).toBe(process.ring.start);
  const last = slow.lines.filter((line) => line.type === "data").at(-1);
  expect(last && last.offset + Buffer.from(last.data, "base64").length).toBe(process.ring.end);
});

test("a reader that leaves is forgotten at once", async () => {
  const { process } = puppet();
  const { out } = reader(true);
  const done = follow(process, 0, out, 60_000);
  await settle();
  out.destroy();
  await done;
  expect(out.listenerCount("drain") + out.listenerCount("close")).toBe(0);
});

test("the owner's process waits for it, and goes on when it has read (R209)", async () => {
  const { process, stdout, exit } = puppet(64 * 1024);
  process.own(0);
  const slow = reader(false);
  const done = follow(process, 0, slow.out, 60_000);
  const all = Buffer.alloc(1_000_000, "0123456789");
  for (let at = 0; at < all.length; at += 8192) stdout.write(all.subarray(at, at + 8192));
  for (let index = 0; index < 100; index++) await settle();
  expect(process.ring.end).toBeLessThan(128 * 1024);
  slow.open();
  while (process.ring.end < all.length) await settle();
  exit(0);
  await done;
  await new Promise((resolve) => slow.out.once("finish", resolve));
  expect(slow.lines.some((line) => line.type === "gap")).toBe(false);
  const told = slow.lines.filter((line) => line.type === "data").map((line) => Buffer.from(line.data, "base64"));
  expect(Buffer.concat(told).equals(all)).toBe(true);
});
