import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestAgent, type TestSandbox, until } from "#test/node/agent";
import { ISOLATED_AND_PLAIN } from "#test/node/agent-ways";

describe.each(ISOLATED_AND_PLAIN)("files %s", (_name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox();
  });
  afterAll(() => agent?.stop());

  const get = (path: string) => sandbox.json("GET", path);
  const shell = (line: string) => sandbox.exec(line);
  const query = (path: string) => encodeURIComponent(path);

  test("a file is written with its parents, described, read and read in part", async () => {
    const { status, body } = await sandbox.write("a/b/ü ß.txt", "hello");
    expect(status).toBe(200);
    expect(body).toMatchObject({ path: "/workspace/a/b/ü ß.txt", name: "ü ß.txt", kind: "file", size: 5, mode: 0o644 });
    expect(body.etag).toMatch(/^W\/"5-[0-9a-f]+-[0-9a-f]+"$/);
    expect((await get(`/files/stat?path=${query("/workspace/a/b/ü ß.txt")}`)).body).toEqual(body);
    const read = await sandbox.call("GET", `/files/content?path=${query("a/b/ü ß.txt")}`);
    expect(await read.text()).toBe("hello");
    expect(JSON.parse(decodeURIComponent(read.headers.get("x-file-stat")!))).toEqual(body);
    expect(await (await sandbox.call("GET", `/files/content?path=${query("a/b/ü ß.txt")}&maxBytes=2`)).text()).toBe(
      "he",
    );
  });

  test("replacing keeps the mode, honours ifMatch and overwrite, and applies the time", async () => {
    const first = await sandbox.write("tool.sh", "one");
    await shell("chmod 750 tool.sh");
    expect((await sandbox.write("tool.sh", "x", "&overwrite=false")).body.code).toBe("entry_exists");
    const stale = `&overwrite=true&ifMatch=${query('W/"0-0-0"')}`;
    expect((await sandbox.write("tool.sh", "x", stale)).body.code).toBe("precondition_failed");
    expect((await sandbox.write("missing.sh", "x", stale)).body.code).toBe("precondition_failed");
    const fresh = `&overwrite=true&mtimeMs=1700000000000&ifMatch=${query(String(first.body.etag))}`;
    expect((await sandbox.write("tool.sh", "two", fresh)).body).toMatchObject({
      mode: 0o750,
      mtimeMs: 1_700_000_000_000,
    });
    expect((await shell("cat tool.sh; ls -A | grep tmp")).stdout).toBe("two");
  });

  test("megabytes stream both ways unchanged", async () => {
    const bytes = Buffer.alloc(20_000_000, 0);
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at, at);
    expect((await sandbox.write("big", bytes)).body.size).toBe(bytes.length);
    const back = Buffer.from(await (await sandbox.call("GET", "/files/content?path=big")).arrayBuffer());
    expect(back.equals(bytes)).toBe(true);
  });

  test("an upload that breaks off leaves neither the file nor a temporary one", async () => {
    const leave = new AbortController();
    const endless = new ReadableStream({
      pull: async (controller) => {
        controller.enqueue(new Uint8Array(65_536));
        await new Promise((resolve) => setTimeout(resolve, 5));
      },
    });
    const upload = sandbox
      .call("PUT", "/files/content?path=cut/half&overwrite=true", endless, leave.signal)
      .catch(() => "cut");
    await until("bytes arrive", async () => (await shell("ls -A cut 2>/dev/null")).stdout.includes("longshore"));
    leave.abort();
    expect(await upload).toBe("cut");
    await until("it is tidied up", async () => (await shell("ls -A cut")).stdout === "");
  });

  test.for([
    ["../escape", "invalid_path"],
    ["/etc/passwd", "invalid_path"],
    ["/workspace/../etc/passwd", "invalid_path"],
    ["/workspace2/x", "invalid_path"],
    ["/proc/self/root/etc/passwd", "invalid_path"],
    ["a\0b", "invalid_path"],
    ["x".repeat(300), "invalid_path"],
    ["y/".repeat(2500), "invalid_path"],
    ["link-out/passwd", "path_not_allowed"],
    ["link-root/etc/passwd", "path_not_allowed"],
    ["link-file", "path_not_allowed"],
    ["chain/passwd", "path_not_allowed"],
    ["fifo", "not_a_regular_file"],
    ["dir", "file_not_found"],
    ["nothing", "file_not_found"],
    ["nothing/below", "file_not_found"],
    ["file/below", "file_not_found"],
  ] as const)("H6: reading %j is %s", async ([path, code]) => {
    await shell(
      "mkdir -p dir; touch file; ln -sfn /etc link-out; ln -sfn / link-root; ln -sfn /bin/sh link-file; ln -sfn link-out chain; [ -p fifo ] || mkfifo fifo",
    );
    const answer = await get(`/files/content?path=${query(path)}`);
    expect(answer.body.code).toBe(code);
  });

  test.for([
    ["link-up/owned", "path_not_allowed"],
    ["link-up-file", "path_not_allowed"],
    ["dangling", "not_a_regular_file"],
    ["pipe", "not_a_regular_file"],
    ["folder", "entry_conflict"],
    ["", "entry_conflict"],
    ["plain/below", "directory_not_found"],
  ] as const)("H6: writing %j is %s, and nothing appears outside", async ([path, code]) => {
    await shell(
      "mkdir -p folder; touch plain; ln -sfn /tmp link-up; echo safe > /tmp/target; ln -sfn /tmp/target link-up-file; ln -sfn nowhere dangling; [ -p pipe ] || mkfifo pipe",
    );
    expect((await sandbox.write(path, "evil")).body.code).toBe(code);
    expect((await shell("ls /tmp/owned 2>/dev/null; cat /tmp/target")).stdout).toBe("safe\n");
  });

  test("a symlink inside the workspace is followed, and kept when its target is replaced", async () => {
    await shell("mkdir -p real; echo old > real/file; ln -sfn real alias; ln -sfn real/file short");
    expect(await (await sandbox.call("GET", "/files/content?path=alias/file")).text()).toBe("old\n");
    expect((await sandbox.write("short", "new")).body.path).toBe("/workspace/real/file");
    expect((await get("/files/stat?path=short")).body).toMatchObject({ kind: "symlink", symlinkTarget: "real/file" });
    expect((await shell("cat real/file")).stdout).toBe("new");
  });

  test("lists are sorted and paged", async () => {
    await shell(
      "mkdir -p many/sub; cd many; printf aaa > c; printf a > a; printf aa > b; touch -d @1000 b; touch -d @2000 a",
    );
    const names = async (options: string) => {
      const { body } = await get(`/files/list?path=many&${options}`);
      return { names: (body.entries as { name: string }[]).map(({ name }) => name), total: body.total };
    };
    expect(await names("sortBy=name&order=asc&offset=1&limit=2")).toEqual({ names: ["b", "c"], total: 4 });
    expect((await names("sortBy=sizeBytes&order=desc&offset=1&limit=3")).names).toEqual(["c", "b", "a"]);
    expect((await names("sortBy=updatedAt&order=asc&offset=0&limit=2")).names).toEqual(["b", "a"]);
    expect((await names("sortBy=type&order=asc&offset=0&limit=1")).names).toEqual(["sub"]);
    expect((await get("/files/list?path=many/a")).body.code).toBe("directory_not_found");
    expect((await get("/files/list?path=many&limit=none")).body.code).toBe("invalid");
  });

  test("directories are made, moved and removed", async () => {
    const make = (path: string, parents: boolean) => sandbox.json("POST", "/files/mkdir", { path, parents });
    const move = (source: string, target: string, overwrite = false) =>
      sandbox.json("POST", "/files/move", { source, target, overwrite });
    const remove = (path: string, recursive: boolean) =>
      sandbox.json("DELETE", `/files?path=${path}&recursive=${recursive}`);
    expect((await make("m/n/o", false)).body.code).toBe("directory_not_found");
    expect((await make("m/n/o", true)).body.kind).toBe("directory");
    expect((await make("m/n/o", false)).status).toBe(200);
    await sandbox.write("m/file", "x");
    expect((await make("m/file", true)).body.code).toBe("entry_conflict");
    expect((await move("m/file", "p/q/file")).body.path).toBe("/workspace/p/q/file");
    expect((await move("m/file", "anywhere")).body.code).toBe("entry_not_found");
    expect((await move("p/q/file", "m/n", true)).body.code).toBe("entry_conflict");
    expect((await move("m", "m/n/inside")).body.code).toBe("entry_conflict");
    expect((await move("", "elsewhere")).body.code).toBe("root_mutation");
    await sandbox.write("other", "y");
    expect((await move("other", "p/q/file")).body.code).toBe("entry_exists");
    expect((await move("other", "p/q/file", true)).status).toBe(200);
    expect((await remove("m", false)).body.code).toBe("directory_not_empty");
    expect((await remove("m", true)).body).toEqual({ kind: "directory" });
    expect((await remove("m", true)).body.code).toBe("entry_not_found");
    expect((await remove("", true)).body.code).toBe("root_mutation");
  });

  test("glob finds files below its folder, newest first, and never leaves it", async () => {
    await shell(
      "mkdir -p g/deep/er; touch -d @1000 g/one.ts; touch -d @3000 g/deep/er/two.ts; touch -d @2000 g/deep/three.js; ln -sfn /etc g/out",
    );
    const glob = async (pattern: string, rest = "") =>
      (await get(`/files/glob?pattern=${query(pattern)}&path=g${rest}`)).body;
    expect(await glob("**/*.ts")).toEqual({
      paths: ["/workspace/g/deep/er/two.ts", "/workspace/g/one.ts"],
      truncated: false,
    });
    expect(await glob("**/*.{ts,js}", "&limit=1")).toEqual({ paths: ["/workspace/g/deep/er/two.ts"], truncated: true });
    expect(await glob("out/*")).toEqual({ paths: [], truncated: false });
    for (const pattern of ["../*", "/etc/*", "{..,x}/*", "+(a|b)", "", "{1..99999}", "*a*a*a*a*a*a*b"]) {
      expect(await glob(pattern)).toMatchObject({ code: "invalid" });
    }
  });

  test("H6: a component exchanged for a symlink again and again never lets a foreign file out", async () => {
    await shell("mkdir -p race/in; echo mine > race/in/hosts; ln -sfn /etc race/out");
    const swap = sandbox.exec(
      "for i in $(seq 400); do mv -T race/in race/x && mv -T race/out race/in && mv -T race/in race/out && mv -T race/x race/in; done",
    );
    const seen = new Set<string>();
    for (let round = 0; round < 200; round++) {
      const answer = await sandbox.call("GET", "/files/content?path=race/in/hosts");
      seen.add(answer.status === 200 ? await answer.text() : String(((await answer.json()) as { code: string }).code));
    }
    await swap;
    const allowed = ["mine\n", "path_not_allowed", "file_not_found"];
    expect([...seen].filter((text) => !allowed.includes(text))).toEqual([]);
  });
});

test("H3: the agent's own files do not appear in the list of a workspace", async () => {
  const agent = await TestAgent.start();
  try {
    const sandbox = await agent.sandbox();
    const secret = join(agent.folder, "secret");
    mkdirSync(secret);
    writeFileSync(join(secret, "key"), "top");
    expect((await sandbox.exec(`cat ${secret}/key ${agent.folder}/state/private/*.json`)).stdout).toBe("");
  } finally {
    await agent.stop();
  }
});
