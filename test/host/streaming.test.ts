import { afterAll, beforeAll, expect, test } from "vitest";
import { TestAgent, type TestSandbox, until } from "#test/node/agent";
import { memoryFor } from "#test/node/process-facts";
import { ProcessStream, startProcess } from "#test/node/process-stream";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const CHUNK = 256 * 1024;

let agent: TestAgent;
let sandbox: TestSandbox;

beforeAll(async () => {
  agent = await TestAgent.start();
  sandbox = await agent.sandbox("sb_stream", { diskMb: 1200, vcpus: 2, pids: 200 });
});
afterAll(() => agent?.stop());

const pid = () => agent.process.pid!;

/** Bytes that differ from one chunk to the next. */
function chunkAt(offset: number): Uint8Array {
  const chunk = Buffer.alloc(CHUNK, (offset / CHUNK) & 255);
  chunk.writeBigUInt64LE(BigInt(offset));
  return chunk;
}

function generated(size: number): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset >= size) return controller.close();
      controller.enqueue(chunkAt(offset));
      offset += CHUNK;
    },
  });
}

test("a gibibyte goes up and comes down unchanged, through little memory of the agent (R259, R261)", async () => {
  const up = await memoryFor(pid(), async () => {
    expect((await sandbox.write("big", generated(GIB))).body.size).toBe(GIB);
  });
  expect(up).toBeLessThan(64 * MIB);
  const down = await memoryFor(pid(), async () => {
    const response = await sandbox.call("GET", "/files/content?path=big");
    let offset = 0;
    let expected = chunkAt(0);
    for await (const piece of response.body!) {
      for (let at = 0; at < piece.length; ) {
        const place = offset % CHUNK;
        if (place === 0) expected = chunkAt(offset);
        const count = Math.min(piece.length - at, CHUNK - place);
        if (Buffer.compare(piece.subarray(at, at + count), expected.subarray(place, place + count)) !== 0) {
          throw new Error(`other bytes at ${offset}`);
        }
        at += count;
        offset += count;
      }
    }
    expect(offset).toBe(GIB);
  });
  expect(down).toBeLessThan(64 * MIB);
  await sandbox.exec("rm big");
}, 300_000);

test("S3: readers that stopped reading cost the agent little memory, and hold up nobody", async () => {
  const leave = new AbortController();
  const growth = await memoryFor(pid(), async () => {
    const stuck = Array.from({ length: 20 }, async (_, index) => {
      const { tag } = await startProcess(sandbox, { tag: `flood-${index}`, command: "yes | head -c 30000000" });
      const response = await sandbox.call("GET", `/processes/${tag}/stream`, undefined, leave.signal);
      expect(response.status).toBe(200);
      return response;
    });
    await Promise.all(stuck);
    await until(
      "all have ended",
      async () => {
        const { body } = await sandbox.json("GET", "/processes");
        return (body.processes as unknown[]).length === 0;
      },
      40_000,
    );
    expect((await sandbox.exec("echo fine")).stdout).toBe("fine\n");
    const reader = await (await ProcessStream.own(sandbox, { command: "seq 1 1000" })).whole();
    expect(reader.text().length).toBe(3893);
  });
  leave.abort();
  expect(growth).toBeLessThan(64 * MIB);
}, 120_000);

test("what a process says is told while it still runs, not at its end (R209)", async () => {
  const stream = await ProcessStream.own(sandbox, {
    command: "echo first; read line; echo $line",
    stdin: "pipe",
    tag: "told",
  });
  await stream.until("the first line", (it) => it.text() === "first\n");
  await sandbox.call("POST", "/processes/told/input", "second\n");
  expect((await stream.whole()).text()).toBe("first\nsecond\n");
});
