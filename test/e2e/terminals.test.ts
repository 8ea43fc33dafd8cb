import { afterAll, beforeAll, expect, test } from "vitest";
import { ProductCapsule } from "#test/node/product-capsule";
import type { SocketClient } from "#test/node/socket-client";

let capsule: ProductCapsule;

beforeAll(async () => {
  capsule = await ProductCapsule.start();
}, 180_000);
afterAll(async () => {
  await capsule?.product.stop();
});

/** Opens a terminal, or comes back to one. */
async function open(first: object): Promise<SocketClient & { tag: string }> {
  const socket = await capsule.open("pty", first);
  await socket.until("it has started", ({ messages }) => messages[0]?.type === "started");
  return Object.assign(socket, { tag: socket.messages[0].tag as string });
}

const type = (socket: SocketClient, text: string | Uint8Array) =>
  socket.send({ type: "input", data: Buffer.from(text as string).toString("base64") });

test("start alone is a shell at 80 by 24 that can be resized, and exits with its code (R222, R223, R226, R229)", async () => {
  const shell = await open({ type: "start" });
  expect(shell.messages[0]).toEqual({
    type: "started",
    tag: expect.stringMatching(/^pty-[0-9a-f]{8}$/),
    pid: expect.any(Number),
  });
  type(shell, "stty size; echo shell-$0\n");
  await shell.says("output", "24 80");
  await shell.says("output", "shell-/bin/bash");
  shell.send({ type: "resize", cols: 0, rows: 10 });
  shell.send({ type: "resize", cols: 132, rows: 50 });
  const sized = async () => {
    type(shell, "stty size\n");
    return shell.text("output");
  };
  await expect.poll(sized, { timeout: 10_000, interval: 100 }).toContain("50 132");
  type(shell, "exit 7\n");
  expect(await shell.last()).toEqual({ type: "exit", exit_code: 7 });
  expect(shell.closed).toEqual({ code: 1000 });
});

test("everything of start is honoured, and another user is a fatal error (R224, A46)", async () => {
  const args = ["-c", 'stty size; pwd; echo "$A"'];
  const given = await open({
    type: "start",
    cmd: "/bin/sh",
    args,
    cols: 100,
    rows: 30,
    envs: { A: "b c" },
    cwd: "/usr",
  });
  expect(await given.last()).toEqual({ type: "exit", exit_code: 0 });
  expect(given.text("output")).toBe("30 100\r\n/usr\r\nb c\r\n");
  const other = await capsule.open("pty", { type: "start", user: "root-of-another-world" });
  expect(await other.last()).toEqual({ type: "error", data: expect.any(String), fatal: true });
});

test("all bytes pass both ways (R225)", async () => {
  const raw = await open({ type: "start", cmd: "/bin/sh", args: ["-c", "stty raw -echo; echo ready; exec cat"] });
  await raw.says("output", "ready");
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  type(raw, all);
  const bytes = () =>
    Buffer.concat(raw.messages.filter((one) => one.type === "output").map(({ data }) => Buffer.from(data, "base64")));
  await raw.until("all came back", () => bytes().length >= "ready\n".length + 256);
  expect(bytes().subarray(-256).equals(all)).toBe(true);
  raw.send({ type: "kill" });
  expect(await raw.last()).toEqual({ type: "exit", exit_code: 137 });
});

test("a terminal outlives its socket, and who comes back finds what was said meanwhile (R230, R231, R237)", async () => {
  const first = await open({ type: "start", cmd: "/bin/sh", envs: { PS1: "> " } });
  type(first, "x=kept; (while [ ! -e go ]; do sleep 0.05; done; echo mean''while)\n");
  await first.says("output", "mean''while");
  first.close();
  await capsule.sh("touch go");
  const again = await open({ type: "connect", tag: first.tag });
  expect(again.messages[0]).toEqual(first.messages[0]);
  await again.says("output", "meanwhile");
  type(again, "echo still-$x\n");
  await again.says("output", "still-kept");
  again.send({ type: "kill" });
  expect((await again.last()).type).toBe("exit");
  const unknown = await capsule.open("pty", { type: "connect", tag: "pty-00000000" });
  expect(await unknown.last()).toMatchObject({ type: "error", fatal: true });
});

test("several viewers share a terminal (R238)", async () => {
  const one = await open({ type: "start", cmd: "/bin/sh" });
  const two = await open({ type: "connect", tag: one.tag });
  type(two, "echo from-$((1+1))\n");
  await Promise.all([one.says("output", "from-2"), two.says("output", "from-2")]);
  one.close();
  type(two, "exit 0\n");
  expect(await two.last()).toEqual({ type: "exit", exit_code: 0 });
});
