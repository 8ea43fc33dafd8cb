import { beforeEach, expect, test } from "vitest";
import { bytes, type Capsule, runningCapsule } from "#test/worker/capsule";
import type { FakeAgent } from "#test/worker/fake-agent";
import type { FakeFiles } from "#test/worker/fake-files";
import { FORM_TYPE, formOf } from "#test/worker/forms";

let capsule: Capsule;
let inside: FakeFiles;
let agent: FakeAgent;

beforeEach(async () => {
  capsule = await runningCapsule();
  ({ inside, agent } = capsule);
});

const upload = (operation: string, form: unknown, type: string = FORM_TYPE) => capsule.post(operation, form, { type });
const WRITES = ["write", "stream/write"];

test.for(WRITES)(
  "%s takes a form and answers 204, and the file has exactly its bytes (R242, R246, R248, R259)",
  async (write) => {
    const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3);
    const answer = await upload(write, formOf(["path", "/workspace/a/b.bin"], ["file", content]));
    expect(answer).toMatchObject({ status: 204, text: "" });
    expect(inside.files.get("/workspace/a/b.bin")).toEqual(content);
    const { query } = inside.asked.find(({ method }) => method === "PUT")!;
    expect(query).toEqual({ path: "/workspace/a/b.bin", overwrite: "true" });
    for (const operation of ["read", "stream/read"]) {
      const response = await capsule.open(operation, { path: "/workspace/a/b.bin" });
      expect(response.headers.get("content-type")).toBe("application/octet-stream");
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(content);
    }
  },
);

test("a small file is one request to its host, a large one is preceded by a look (R242)", async () => {
  const requests = async (size: number) => {
    const form = formOf(["path", "f"], ["file", new Uint8Array(size)]);
    await capsule.t.call("POST", `/v1/capsules/${capsule.id}/files/write`, form, {
      ...{ "content-type": FORM_TYPE, "content-length": String(form.length) },
    });
    return inside.asked.splice(0).map(({ method, path }) => `${method} ${path}`);
  };
  expect(await requests(1000)).toEqual(["PUT /files/content"]);
  expect(await requests(300_000)).toEqual(["GET /health", "PUT /files/content"]);
});

test.for(WRITES)("%s replaces a file, and an empty one is a file too (R245)", async (write) => {
  for (const content of ["first", ""]) {
    expect((await upload(write, formOf(["path", "f"], ["file", bytes(content)]))).status).toBe(204);
    expect(inside.text("/workspace/f")).toBe(content);
  }
});

test.for<[why: string, form: unknown, type: string | undefined]>([
  ["no path", formOf(["file", bytes("x")]), undefined],
  ["no file", formOf(["path", "/workspace/a"]), undefined],
  ["an empty path", formOf(["path", ""], ["file", bytes("x")]), undefined],
  ["an empty path after the file", formOf(["file", bytes("x")], ["path", ""]), undefined],
  ["a path that is too long", formOf(["path", "a".repeat(4097)], ["file", bytes("x")]), undefined],
  ["nothing at all", "", undefined],
  ["a form that breaks off", formOf(["path", "/workspace/a"], ["file", bytes("x")]).slice(0, -30), undefined],
  ["JSON", { path: "/workspace/a", file: "x" }, "application/json"],
  ["a form of another kind", "path=a&file=b", "application/x-www-form-urlencoded"],
  ["no boundary", formOf(["path", "a"], ["file", bytes("x")]), "multipart/form-data"],
])("an upload with %s is 400 and leaves no file (R243)", async ([, form, type]) => {
  for (const write of WRITES) {
    expect(await upload(write, form, type)).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_request" } },
    });
  }
  expect([...inside.files.keys()]).toEqual([]);
});

test.for(WRITES)("%s takes the file before its path too, and other fields beside them (R260, R20)", async (write) => {
  const form = formOf(["note", "x"], ["file", bytes("late")], ["mode", "x"], ["path", "d/late.txt"], ["path", "other"]);
  expect((await upload(write, form)).status).toBe(204);
  expect([...inside.files.keys()]).toEqual(["/workspace/d/late.txt"]);
  expect(inside.text("/workspace/d/late.txt")).toBe("late");
});

test("an upload onto a directory is 400, in either order, and nothing of it stays (R255)", async () => {
  inside.directories.add("/workspace/d");
  const fields = [
    ["path", "d"],
    ["file", bytes("x")],
  ] as [string, string][];
  for (const order of [fields, fields.toReversed()]) {
    expect(await upload("write", formOf(...order))).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_request" } },
    });
  }
  expect([...inside.files.keys()]).toEqual([]);
});

const LIMIT = 100 * 1024 * 1024;

/** A form whose file has so many bytes, made while it is read. */
function largeForm(size: number): ReadableStream<Uint8Array> {
  const form = formOf(["path", "big"], ["file", new Uint8Array()]);
  // Behind the content: a line break, the closing delimiter and its line break.
  const [head, end] = [form.slice(0, -27), form.slice(-27)];
  const chunk = new Uint8Array(1024 * 1024);
  let left = size;
  let begun = false;
  return new ReadableStream({
    pull(controller) {
      if (!begun) controller.enqueue(head);
      else if (left > 0) controller.enqueue(chunk.slice(0, Math.min(left, chunk.length)));
      else {
        controller.enqueue(end);
        controller.close();
      }
      if (begun) left -= chunk.length;
      begun = true;
    },
  });
}

test("files/write takes 100 MiB and not a byte more, whether its length was announced or not (R244)", async () => {
  const sizes: number[] = [];
  agent.inside = async (message, path) => {
    if (path !== "/files/content") return inside.inside(message, path);
    let size = 0;
    for await (const piece of message.body!) size += piece.length;
    sizes.push(size);
    return inside.inside(new Request(message.url, { method: "PUT", body: "" }), path);
  };
  expect((await upload("write", largeForm(LIMIT))).status).toBe(204);
  expect(sizes).toEqual([LIMIT]);
  const over = await upload("write", largeForm(LIMIT + 1));
  expect(over).toMatchObject({ status: 413, body: { error: { code: "too_large" } } });
  expect(sizes).toEqual([LIMIT]);
  expect((await upload("stream/write", largeForm(LIMIT + 1))).status).toBe(204);
  expect(sizes).toEqual([LIMIT, LIMIT + 1]);
  const headers = { "content-type": FORM_TYPE, "content-length": String(200 * 1024 * 1024) };
  const small = formOf(["path", "a"], ["file", bytes("x")]);
  const announced = await capsule.t.call("POST", `/v1/capsules/${capsule.id}/files/write`, small, headers);
  expect(announced.status).toBe(413);
});
