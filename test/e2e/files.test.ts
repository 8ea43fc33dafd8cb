import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outcomeOf, TestCapsule } from "#test/node/capsule";
import { type Started, startedProduct } from "#test/node/started";

let product: Started;
let capsule: TestCapsule;

beforeAll(async () => {
  product = await startedProduct();
  capsule = await TestCapsule.create(product);
}, 180_000);
afterAll(async () => {
  await product?.stop();
});

const json = async <T>(response: Promise<Response>): Promise<T> => (await response).json() as Promise<T>;
type Entry = { path: string; type: string; symlink_target: string | null } & Record<string, unknown>;
const list = (path: string, depth?: number) =>
  json<{ entries: Entry[] }>(capsule.files("list", { path, ...(depth !== undefined && { depth }) }));

test("any bytes survive both ways, parents are made and a file is replaced (R242, R245, R246, R248, R261)", async () => {
  const content = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
  for (const [write, read] of [
    ["write", "read"],
    ["stream/write", "stream/read"],
  ] as const) {
    for (const path of [`made/${write}/ü ß.bin`, `~/made/${write}/x`, `/workspace/made/./${write}/../y`]) {
      expect(await outcomeOf(await capsule.upload(path, "first", write))).toEqual([204, ""]);
      expect(await outcomeOf(await capsule.upload(path, content, write))).toEqual([204, ""]);
      const response = await capsule.files(read, { path });
      expect(Buffer.from(await response.arrayBuffer()).equals(content), path).toBe(true);
      expect(response.headers.get("transfer-encoding")).toBe(read === "read" ? null : "chunked");
      expect(response.headers.get("content-length")).toBe(read === "read" ? String(content.length) : null);
    }
  }
  const sum = createHash("sha256").update(content).digest("hex");
  expect(await capsule.shell("cd made; sha256sum stream/write/x y | cut -c1-64")).toBe(`${sum}\n${sum}\n`);
});

test("directories are listed to a depth, with all that ls knows (R249, R250, R251, R252, R263)", async () => {
  await capsule.shell(
    "mkdir -p l/d/e l/empty; printf four > l/d/e/f; ln -s d l/s; chmod 750 l/d; touch -d @1700000000 l/d",
  );
  const { entries } = await list("l");
  const me = (await capsule.shell("id -un; id -gn")).split("\n");
  expect(entries.map(({ path }) => path)).toEqual(["/workspace/l/d", "/workspace/l/empty", "/workspace/l/s"]);
  expect(entries[0]).toMatchObject({
    ...{ name: "d", type: "directory", mode: 0o750, permissions: "drwxr-x---", symlink_target: null },
    ...{ modified_at: 1_700_000_000, owner: me[0], group: me[1] },
  });
  expect(entries[2]).toMatchObject({ name: "s", type: "symlink", symlink_target: "d", permissions: "lrwxrwxrwx" });
  expect(await list("~/l", 0)).toEqual({ entries });
  const deep = (await list("/workspace/l", 3)).entries;
  expect(deep.map(({ path }) => path)).toEqual(
    ["d", "d/e", "d/e/f", "empty", "s"].map((path) => `/workspace/l/${path}`),
  );
  expect(deep[2]).toMatchObject({ type: "file", size: 4, mode: 0o644, permissions: "-rw-r--r--" });
  expect(await list("l/empty")).toEqual({ entries: [] });
  expect(await capsule.outcome("list", { path: "l/none" })).toEqual([404, "not_found"]);
  expect(await capsule.outcome("list", { path: "l/d/e/f" })).toEqual([400, "invalid_request"]);
});

test("directories are made once, trees are removed, the root stays (R253, R254, R255, R256, R257)", async () => {
  const { entry } = await json<{ entry: Entry }>(capsule.files("mkdir", { path: "m/n/o" }));
  expect(entry).toMatchObject({ path: "/workspace/m/n/o", type: "directory", permissions: "drwxr-xr-x" });
  expect(await capsule.outcome("mkdir", { path: "/workspace/m/n/o" })).toEqual([409, "already_exists"]);
  await capsule.upload("m/file", "x");
  expect(await capsule.outcome("mkdir", { path: "m/file" })).toEqual([400, "invalid_request"]);
  expect(await capsule.outcome("remove", { path: "m" })).toEqual([204, ""]);
  expect(await capsule.outcome("remove", { path: "m" })).toEqual([404, "not_found"]);
  for (const path of ["/", "/workspace", "~", ".", "x/..", "/workspace/"]) {
    expect(await capsule.outcome("remove", { path }), path).toEqual([400, "invalid_request"]);
  }
  for (const path of ["/workspace", "~"]) {
    expect(await capsule.outcome("mkdir", { path }), path).toEqual([409, "already_exists"]);
  }
});

/** Paths that are refused by what they say, and those that are by where they lead. */
const BAD_PATHS = [
  ...["..", "../etc/passwd", "a/../../etc/passwd", "/etc/passwd", "//etc/passwd", "/workspace/../etc/passwd", "/tmp/f"],
  ...["/workspacex/f", "/proc/self/root/etc/passwd", "/proc/1/environ", "~/../etc/passwd", "~root/../../f", "a\0b"],
  ...["x".repeat(300), "y/".repeat(2500)],
];
const WAYS_OUT = ["link-out/passwd", "link-root/etc/passwd", "chain/passwd", "link-self/root/etc/passwd"];
const HOSTILE: [path: string, status: number, code: string][] = [
  ...BAD_PATHS.map((path): [string, number, string] => [path, 400, "invalid_request"]),
  ...WAYS_OUT.map((path): [string, number, string] => [path, 403, "forbidden"]),
];

test("H6, R262: no path leads out of a capsule's root, by any operation", async () => {
  await capsule.shell(
    "ln -sfn /etc link-out; ln -sfn / link-root; ln -sfn link-out chain; ln -sfn /proc/self link-self; echo safe > /tmp/target; ln -sfn /tmp/target link-file; ln -sfn /tmp link-tmp",
  );
  for (const [path, status, code] of HOSTILE) {
    for (const operation of ["read", "stream/read", "list", "mkdir", "remove"]) {
      expect(await capsule.outcome(operation, { path }), `${operation} ${path.slice(0, 40)}`).toEqual([status, code]);
    }
    for (const write of ["write", "stream/write"]) {
      expect(await outcomeOf(await capsule.upload(path, "evil", write)), `${write} ${path.slice(0, 40)}`).toEqual([
        status,
        code,
      ]);
    }
  }
  for (const path of ["link-file", "link-tmp/owned"]) {
    expect(await outcomeOf(await capsule.upload(path, "evil")), path).toEqual([403, "forbidden"]);
    const late = new FormData();
    late.set("file", new Blob(["evil"]));
    late.set("path", path);
    await capsule.files("write", late);
  }
  expect(await capsule.shell("cat /tmp/target; ls /tmp; ls -A | grep -c longshore")).toBe("safe\ntarget\n0\n");
  expect(await capsule.outcome("remove", { path: "link-out" })).toEqual([204, ""]);
  expect(await capsule.shell("ls -d /etc")).toBe("/etc\n");
});

test("H6: what is no regular file is refused at once", async () => {
  await capsule.shell("mkfifo pipe; mkdir -p folder; ln -sfn nowhere dangling");
  expect(await capsule.outcome("read", { path: "pipe" })).toEqual([400, "invalid_request"]);
  expect(await capsule.outcome("read", { path: "folder" })).toEqual([404, "not_found"]);
  for (const path of ["pipe", "folder", "dangling", "/workspace"]) {
    expect(await outcomeOf(await capsule.upload(path, "x")), path).toEqual([400, "invalid_request"]);
  }
});

test("H6: a component exchanged for a symlink again and again never lets a foreign file out", async () => {
  await capsule.shell("mkdir -p race/in; echo mine > race/in/hostname; ln -sfn /etc race/out");
  const swap = capsule.shell(
    "for i in $(seq 400); do mv -T race/in race/x && mv -T race/out race/in && mv -T race/in race/out && mv -T race/x race/in; done",
  );
  const seen = new Set<string>();
  for (let round = 0; round < 150; round++) {
    const answer = await capsule.files("read", { path: "race/in/hostname" });
    seen.add(answer.status === 200 ? await answer.text() : String((await outcomeOf(answer))[0]));
  }
  await swap;
  expect(await (await capsule.files("read", { path: "race/in/hostname" })).text()).toBe("mine\n");
  expect([...seen].filter((text) => !["mine\n", "403", "404"].includes(text))).toEqual([]);
});

test("a name that holds line breaks forges no header", async () => {
  const path = `it's "ü"\r\nset-cookie: x=1.txt`;
  expect(await outcomeOf(await capsule.upload(path, "x"))).toEqual([204, ""]);
  const { headers, status } = await capsule.files("read", { path });
  expect([status, headers.get("set-cookie")]).toEqual([200, null]);
  expect(headers.get("content-disposition")).toBe(
    "attachment; filename*=UTF-8''it%27s%20%22%C3%BC%22%0D%0Aset-cookie%3A%20x%3D1.txt",
  );
});
