import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Started, startedProduct } from "#test/node/started";

let product: Started;

beforeAll(async () => {
  product = await startedProduct();
}, 120_000);

afterAll(async () => {
  await product?.stop();
});

async function call(method: string, path: string, body?: unknown) {
  const response = await fetch(`${product.url}/v1/capsules${path}`, {
    method,
    headers: { "x-api-key": product.apiKey, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

const becomes = (id: string, status: string, timeout = 30_000) =>
  expect.poll(async () => (await call("GET", `/${id}`)).body.status, { timeout, interval: 50 }).toBe(status);

async function runningCapsule(body: object = {}): Promise<string> {
  const made = await call("POST", "", body);
  expect(made).toMatchObject({ status: 202, body: { status: "starting" } });
  await becomes(made.body.id, "running");
  return made.body.id;
}

async function sh(id: string, script: string): Promise<string> {
  const { status, body } = await call("POST", `/${id}/exec`, { cmd: "sh", args: ["-c", script] });
  expect({ status, body }).toMatchObject({ status: 200, body: { exit_code: 0 } });
  return body.stdout;
}

/** Pauses or resumes, and waits until it is done. */
async function move(id: string, verb: "pause" | "resume"): Promise<void> {
  expect(await call("POST", `/${id}/${verb}`)).toMatchObject({
    status: 202,
    body: { status: `${verb.slice(0, -1)}ing` },
  });
  await becomes(id, verb === "pause" ? "paused" : "running");
}

/** Counts in memory and writes each number down with the same process id. */
const COUNTER = 'n=0; while :; do n=$((n+1)); echo "$$ $n" > count.new; mv count.new count; sleep 0.02; done';
const counter = async (id: string) => (await sh(id, "cat count")).trim().split(" ").map(Number) as [number, number];

test("R172 R168 R171 a counter stands still while its capsule is paused, and goes on where it was", async () => {
  const id = await runningCapsule();
  await sh(id, "echo before > file.txt");
  const started = await call("POST", `/${id}/exec`, { cmd: "sh", args: ["-c", COUNTER], background: true });
  expect(started.status).toBe(202);
  await expect.poll(async () => (await counter(id))[1], { timeout: 10_000 }).toBeGreaterThan(5);
  const [process, before] = await counter(id);
  await move(id, "pause");
  expect(await call("POST", `/${id}/exec`, { cmd: "true" })).toMatchObject({
    status: 409,
    body: { error: { code: "invalid_state" } },
  });
  // Long enough for fifty steps, had it gone on.
  await sleep(1_000);
  await move(id, "resume");
  const [same, after] = await counter(id);
  expect(same).toBe(process);
  expect(after).toBeGreaterThanOrEqual(before);
  expect(after).toBeLessThan(before + 45);
  await expect.poll(async () => (await counter(id))[1], { timeout: 10_000 }).toBeGreaterThan(after);
  expect(await sh(id, "cat file.txt")).toBe("before\n");
  expect((await call("GET", `/${id}`)).body.metadata).toMatchObject({
    pause_mode: "freeze",
    kernel_version: expect.any(String),
  });
}, 120_000);

test("ten pauses and resumptions between writes lose nothing", async () => {
  const id = await runningCapsule();
  const written: string[] = [];
  for (let round = 0; round < 10; round++) {
    const script = `head -c 100000 /dev/urandom > f${round}; sha256sum f${round} | cut -d" " -f1`;
    written.push((await sh(id, script)).trim());
    await move(id, "pause");
    await move(id, "resume");
  }
  const listed = await sh(id, 'for i in 0 1 2 3 4 5 6 7 8 9; do sha256sum f$i | cut -d" " -f1; done');
  const digest = (lines: string[]) => createHash("sha256").update(lines.join("\n")).digest("hex");
  expect(digest(listed.trim().split("\n"))).toBe(digest(written));
}, 180_000);

test("R147 R145 a capsule that nobody uses is paused by itself, and not before its time", async () => {
  const id = await runningCapsule({ timeout_sec: 1 });
  const { timeout_sec, last_active_at } = (await call("GET", `/${id}`)).body;
  expect(timeout_sec).toBe(60);
  await becomes(id, "paused", 75_000);
  expect(Date.now() - Date.parse(last_active_at)).toBeGreaterThanOrEqual(60_000);
}, 120_000);

test("R181 H1 a capsule whose host agent was killed runs again with its files", async () => {
  const id = await runningCapsule();
  await sh(id, "echo kept > file.txt");
  process.kill(product.agentPid, "SIGKILL");
  await expect
    .poll(async () => (await call("POST", `/${id}/exec`, { cmd: "cat", args: ["file.txt"] })).body.stdout, {
      timeout: 60_000,
    })
    .toBe("kept\n");
}, 120_000);

/** Processes of this machine, those of sandboxes among them, that have a word in their command line. */
const processesWith = (word: string) =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word);
    } catch {
      return false;
    }
  });

test("R161 R168 a destroyed capsule leaves no process and no mount behind, also when it was paused", async () => {
  for (const verb of ["run", "pause"] as const) {
    const id = await runningCapsule();
    const seconds = `${id.length}000${Date.now()}`;
    await call("POST", `/${id}/exec`, { cmd: "sleep", args: [seconds], background: true });
    await expect.poll(() => processesWith(seconds)).not.toEqual([]);
    if (verb === "pause") await move(id, "pause");
    expect(await call("DELETE", `/${id}`)).toMatchObject({ status: 202 });
    await becomes(id, "stopped");
    expect(await call("POST", `/${id}/exec`, { cmd: "true" })).toMatchObject({ status: 409 });
    expect(processesWith(seconds)).toEqual([]);
    expect(readFileSync("/proc/mounts", "utf8")).not.toContain(id);
  }
}, 60_000);
