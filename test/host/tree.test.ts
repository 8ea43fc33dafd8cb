import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FileTree } from "#protocol/supervisor";
import { TestAgent, type TestSandbox } from "#test/node/agent";
import { ISOLATED_AND_PLAIN } from "#test/node/agent-ways";

describe.each(ISOLATED_AND_PLAIN)("trees of files %s", (name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox();
    await sandbox.exec(`
      mkdir -p top/a/b/c top/empty; echo 12345 > top/a/file; touch top/a/b/deep top/z; chmod 4750 top/z; chmod 1777 top/empty
      ln -s ../z top/a/link; ln -s nowhere top/dangling; ln -s a top/alias; mkfifo top/pipe; mkdir '~'; touch '~/literal'`);
  });
  afterAll(() => agent?.stop());

  const isolated = name !== "without isolation";
  const get = (path: string, query = "") => sandbox.json("GET", `/files/tree?path=${encodeURIComponent(path)}${query}`);
  const tree = async (path: string, query = "") => FileTree.parse((await get(path, query)).body);
  const paths = async (path: string, query = "") =>
    (await tree(path, query)).entries.map((entry) => entry.path.replace("/workspace/top", ""));

  const children = ["/a", "/alias", "/dangling", "/empty", "/pipe", "/z"];

  test("a depth of none, 0 or 1 gives the children, 2 their children too, each with its whole path (R249, R250)", async () => {
    for (const query of ["", "&depth=0", "&depth=1"]) expect(await paths("top", query)).toEqual(children);
    const two = ["/a", "/a/b", "/a/file", "/a/link", ...children.slice(1)];
    expect(await paths("top", "&depth=2")).toEqual(two);
    expect(await paths("/workspace/top", "&depth=99")).toEqual([
      ...["/a", "/a/b", "/a/b/c", "/a/b/deep", "/a/file", "/a/link"],
      ...children.slice(1),
    ]);
  });

  test("entries have type, size, mode, permissions, owner, group and a link's target (R251)", async () => {
    const { entries } = await tree("top", "&depth=2");
    const entry = (path: string) => entries.find((one) => one.path === `/workspace/top${path}`);
    const [owner, group] = (await sandbox.exec("stat -c '%U %G' top/z")).stdout.trim().split(" ");
    if (isolated) expect([owner, group]).toEqual(["sandbox", "sandbox"]);
    expect(entry("/z")).toMatchObject({
      name: "z",
      kind: "file",
      mode: 0o4750,
      permissions: "-rwsr-x---",
      owner,
      group,
    });
    expect(entry("/a/file")).toMatchObject({ kind: "file", size: 6, permissions: "-rw-r--r--", symlinkTarget: null });
    expect(entry("/empty")).toMatchObject({ kind: "directory", permissions: "drwxrwxrwt" });
    expect(entry("/a/link")).toMatchObject({ kind: "symlink", symlinkTarget: "../z", permissions: "lrwxrwxrwx" });
    expect(entry("/dangling")).toMatchObject({ kind: "symlink", symlinkTarget: "nowhere" });
    expect(entry("/pipe")).toMatchObject({ kind: "other", permissions: "prw-r--r--" });
    expect(Math.abs((entry("/z")?.mtimeMs ?? 0) - Date.now())).toBeLessThan(600_000);
    const shown = (await sandbox.exec("cd top; stat -c '/%n %A' *")).stdout.trim().split("\n");
    expect((await tree("top")).entries.map((one) => `/${one.name} ${one.permissions}`)).toEqual(shown);
  });

  test("a missing directory is not found, a file is no directory, an empty one is empty (R252)", async () => {
    expect(await get("top/nothing")).toMatchObject({ status: 404, body: { code: "directory_not_found" } });
    expect(await get("top/dangling")).toMatchObject({ status: 404, body: { code: "directory_not_found" } });
    expect(await get("top/z/below")).toMatchObject({ status: 404, body: { code: "directory_not_found" } });
    expect(await get("top/z")).toMatchObject({ status: 400, body: { code: "not_a_directory" } });
    expect(await get("top/pipe")).toMatchObject({ status: 400, body: { code: "not_a_directory" } });
    expect(await tree("top/empty")).toEqual({ entries: [], truncated: false });
  });

  test("a relative path and a tilde start at home; a name of it is reached all the same (R263)", async () => {
    for (const home of ["~", "~/", "", ".", "/workspace", "/workspace/"]) {
      expect((await tree(home)).entries.map((entry) => entry.name)).toEqual(["top", "~"]);
    }
    expect(await paths("~/top")).toEqual(children);
    expect((await tree("./~")).entries.map((entry) => entry.path)).toEqual(["/workspace/~/literal"]);
    expect((await sandbox.write("~/written", "x")).body.path).toBe("/workspace/written");
    await sandbox.exec("rm written");
    expect((await get("~other")).body.code).toBe("directory_not_found");
  });

  test("a limit is told", async () => {
    const { entries, truncated } = await tree("top", "&depth=3&limit=4");
    expect([entries.length, truncated]).toEqual([4, true]);
    expect((await tree("top", "&depth=3&limit=11")).truncated).toBe(false);
    await sandbox.exec("mkdir many; cd many; seq 1 3000 | xargs touch");
    expect((await tree("many")).entries).toHaveLength(3000);
    await sandbox.exec("rm -r many");
  });

  test.for([
    ["../escape", "invalid_path"],
    ["~/../etc", "invalid_path"],
    ["/etc", "invalid_path"],
    ["/workspace/../etc", "invalid_path"],
    ["/proc/self/root", "invalid_path"],
    ["a\0b", "invalid_path"],
    ["x".repeat(300), "invalid_path"],
    ["y/".repeat(2500), "invalid_path"],
    ["out", "path_not_allowed"],
    ["root/etc", "path_not_allowed"],
    ["chain", "path_not_allowed"],
  ] as const)("H6, R262: the tree at %j is %s", async ([path, code]) => {
    await sandbox.exec("ln -sfn /etc out; ln -sfn / root; ln -sfn out chain");
    expect((await get(path)).body.code).toBe(code);
    await sandbox.exec("rm out root chain");
  });

  test("H6: links to directories are not entered, and exchanging one while it is walked leads nowhere", async () => {
    await sandbox.exec("mkdir -p swap/real; touch swap/real/inside; ln -s /etc swap/away");
    const deep = (await tree("swap", "&depth=9")).entries.map((entry) => entry.path.replace("/workspace/swap", ""));
    expect(deep).toEqual(["/away", "/real", "/real/inside"]);
    const flip = "while :; do mv swap/real swap/kept; ln -s /etc swap/real; rm swap/real; mv swap/kept swap/real; done";
    const body = { command: flip, tag: "flip" };
    expect((await sandbox.json("POST", "/processes", body)).status).toBe(200);
    const seen = new Set<string>();
    for (let round = 0; round < 60; round++) {
      for (const { path } of (await tree("swap", "&depth=3")).entries) seen.add(path.replace("/workspace/swap", ""));
    }
    expect((await sandbox.call("DELETE", "/processes/flip")).status).toBe(204);
    expect([...seen].filter((path) => !/^\/(away|real|kept)(\/inside)?$/.test(path))).toEqual([]);
    await sandbox.exec("rm -rf swap");
  });

  test("a directory can be made only if it is not there yet (R253, R254)", async () => {
    const make = (path: string, more = {}) => sandbox.json("POST", "/files/mkdir", { path, parents: true, ...more });
    expect((await make("made/below", { exclusive: true })).body).toMatchObject({
      kind: "directory",
      owner: expect.any(String),
    });
    expect((await make("made/below", { exclusive: true })).body.code).toBe("entry_exists");
    expect((await make("/workspace", { exclusive: true })).body.code).toBe("entry_exists");
    expect((await make("made/below")).status).toBe(200);
    await sandbox.exec("rm -r made");
  });
});
