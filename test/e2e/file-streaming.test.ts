import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { api } from "#scripts/lib/api";
import { outcomeOf, TestCapsule } from "#test/node/capsule";
import { childNamed, memoryFor } from "#test/node/process-facts";
import { type Started, startedProduct } from "#test/node/started";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** The most that the Worker's process may grow by while files pass through it. */
const ROOM = 64 * MIB;

let product: Started;
let capsule: TestCapsule;
let workerd: number;

beforeAll(async () => {
  product = await startedProduct();
  capsule = await TestCapsule.create(product);
  workerd = childNamed(product.process.pid!, "workerd");
}, 180_000);
afterAll(async () => {
  await product?.stop();
});

const TYPE = "multipart/form-data; boundary=b";
const head = (name: string) =>
  Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"; filename="f"\r\n\r\n`);
const text = (name: string, value: string) =>
  Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
const END = Buffer.from("\r\n--b--\r\n");

/** Bytes that are made as they are read, and what `sha256sum` says of them. */
function* madeBytes(size: number, hash?: { update(bytes: Uint8Array): unknown }): Generator<Uint8Array> {
  const block = Buffer.alloc(MIB);
  for (let at = 0; at < MIB; at += 4) block.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  for (let sent = 0; sent < size; sent += block.length) {
    block.writeUInt32LE(sent / MIB, 0);
    const piece = Buffer.from(block.subarray(0, Math.min(block.length, size - sent)));
    hash?.update(piece);
    yield piece;
  }
}

function formOf(path: string, content: Iterable<Uint8Array>): ReadableStream {
  return ReadableStream.from(
    (function* () {
      yield text("path", path);
      yield head("file");
      yield* content;
      yield END;
    })(),
  );
}

/** As much again is ready to be sent when the client leaves. */
function* leavingAfter(size: number, client: AbortController): Generator<Uint8Array> {
  yield* madeBytes(size);
  client.abort();
  yield* madeBytes(size);
}

test("a gibibyte streams in and out unchanged, and the Worker keeps none of it (R248, R259, R261)", {
  timeout: 900_000,
}, async () => {
  // What the isolate needs for any request is there before it is measured.
  expect((await capsule.stream("stream/write", formOf("warm", madeBytes(8 * MIB)), TYPE)).status).toBe(204);
  const sent = createHash("sha256");
  const grownIn = await memoryFor(workerd, async () => {
    const answer = await capsule.stream("stream/write", formOf("giga", madeBytes(GIB, sent)), TYPE);
    expect(await outcomeOf(answer)).toEqual([204, ""]);
  });
  const got = createHash("sha256");
  let size = 0;
  const grownOut = await memoryFor(workerd, async () => {
    const { body } = await capsule.files("stream/read", { path: "giga" });
    for await (const piece of body ?? []) {
      got.update(piece);
      size += piece.length;
    }
  });
  expect(size).toBe(GIB);
  expect(got.digest("hex")).toBe(sent.digest("hex"));
  console.log(`grown by ${grownIn / MIB} MiB in, ${grownOut / MIB} MiB out`);
  expect(Math.max(grownIn, grownOut)).toBeLessThan(ROOM);
  expect(await capsule.outcome("remove", { path: "giga" })).toEqual([204, ""]);
});

test("the upload with a limit takes 100 MiB; a larger one is told 413, announced or not, and leaves nothing (R244)", async () => {
  const limit = 100 * MIB;
  expect((await capsule.stream("write", formOf("limit", madeBytes(limit)), TYPE)).status).toBe(204);
  const over = await capsule.stream("write", formOf("over", madeBytes(limit + 1)), TYPE);
  expect(await outcomeOf(over)).toEqual([413, "too_large"]);
  const announced = Buffer.concat([text("path", "over"), head("file"), Buffer.alloc(limit + 2 * MIB), END]);
  expect(await outcomeOf(await capsule.stream("write", announced, TYPE))).toEqual([413, "too_large"]);
  expect(await capsule.shell("ls -A; stat -c %s limit; rm limit warm")).toBe(`limit\nwarm\n${limit}\n`);
});

test("an upload that is refused late still gets its answer", async () => {
  const large = () => madeBytes(120 * MIB);
  expect(await outcomeOf(await capsule.stream("stream/write", formOf("../out", large()), TYPE))).toEqual([
    400,
    "invalid_request",
  ]);
  const parts = [head("file"), ...large(), Buffer.from("\r\n"), text("path", "/etc/x"), Buffer.from("--b--\r\n")];
  const late = await capsule.stream("stream/write", ReadableStream.from(parts), TYPE);
  expect(await outcomeOf(late)).toEqual([400, "invalid_request"]);
  expect(await capsule.shell("ls -A")).toBe("");
});

test("a file before its path arrives too, whole (R260)", async () => {
  const parts = [
    head("file"),
    ...madeBytes(30 * MIB),
    Buffer.from("\r\n"),
    text("path", "d/late"),
    Buffer.from("--b--\r\n"),
  ];
  const answer = await capsule.stream("stream/write", ReadableStream.from(parts), TYPE);
  expect(await outcomeOf(answer)).toEqual([204, ""]);
  expect(await capsule.shell("ls -A; stat -c %s d/late; rm -r d")).toBe(`d\n${30 * MIB}\n`);
});

test("a form that ends in its file, and a client that leaves, change nothing (R245)", async () => {
  await capsule.upload("kept", "old");
  for (const operation of ["write", "stream/write"]) {
    const cut = ReadableStream.from([text("path", "kept"), head("file"), ...madeBytes(5 * MIB)]);
    expect(await outcomeOf(await capsule.stream(operation, cut, TYPE))).toEqual([400, "invalid_request"]);
    const leaving = new AbortController();
    const content = formOf("kept", leavingAfter(5 * MIB, leaving));
    await expect(capsule.stream(operation, content, TYPE, leaving.signal)).rejects.toThrow();
  }
  await expect.poll(() => capsule.shell("ls -A; cat kept"), { timeout: 20_000 }).toBe("kept\nold");
  await capsule.shell("rm kept");
});

test("a raw upload whose client leaves changes nothing either", async () => {
  const headers = { "x-api-key": product.apiKey };
  const call = api(product.url, headers);
  const { id } = await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "raw", runtime: "base" });
  const files = `/api/v1/sandboxes/${id}/files`;
  await call("PUT", `${files}/content`, { path: "kept", content: "old" });
  const leaving = new AbortController();
  const upload = fetch(`${product.url}${files}/upload?path=kept`, {
    ...{ method: "PUT", headers: { ...headers, "content-type": "application/octet-stream" }, signal: leaving.signal },
    ...{ body: ReadableStream.from(leavingAfter(5 * MIB, leaving)), duplex: "half" },
  } as RequestInit);
  await expect(upload).rejects.toThrow();
  const names = async () =>
    (await call<{ items: { name: string }[] }>("GET", `${files}/entries`)).items.map(({ name }) => name);
  await expect.poll(names, { timeout: 20_000 }).toEqual(["kept"]);
  expect((await call<{ content: string }>("GET", `${files}/content?path=kept`)).content).toBe("old");
});

test("six hundred small files go in, are listed and come out in seconds", async () => {
  const COUNT = 600;
  const AT_ONCE = 8;
  const each = async (work: (n: number) => Promise<void>) => {
    const left = Array.from({ length: COUNT }, (_, n) => n);
    const started = performance.now();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let n = left.pop(); n !== undefined; n = left.pop()) await work(n);
      }),
    );
    return Math.round(performance.now() - started);
  };
  const writing = await each(async (n) => {
    expect((await capsule.upload(`many/${n % 20}/${n}.txt`, `file ${n}`)).status).toBe(204);
  });
  const started = performance.now();
  const { entries } = (await (await capsule.files("list", { path: "many", depth: 2 })).json()) as {
    entries: unknown[];
  };
  const listing = Math.round(performance.now() - started);
  expect(entries).toHaveLength(COUNT + 20);
  const reading = await each(async (n) => {
    const answer = await capsule.files("read", { path: `many/${n % 20}/${n}.txt` });
    expect(await answer.text()).toBe(`file ${n}`);
  });
  console.log(`600 files: written in ${writing} ms, listed in ${listing} ms, read in ${reading} ms`);
  expect(writing + listing + reading).toBeLessThan(60_000);
});
