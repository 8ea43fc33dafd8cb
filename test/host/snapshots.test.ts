import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { AgentSandbox, SnapshotAnswer } from "#protocol/host-agent";
import { canLimitDisks, LIMITS, processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { ChunkProxy } from "#test/node/chunk-proxy";

type Failed = { error: { code: string; message: string } };
type Answer = { status: number; body: SnapshotAnswer & Failed };

async function snapshot({ agent, id, gen }: TestSandbox, options: { signal?: AbortSignal; token?: string } = {}) {
  const bearer = await agent.control.token({ sandbox: id, act: "lifecycle", gen });
  const response = await fetch(`http://${agent.ready.address}/v1/sandboxes/${id}/snapshot`, {
    method: "POST",
    headers: { authorization: `Bearer ${bearer}` },
    body: JSON.stringify({ token: options.token ?? "transfer" }),
    ...(options.signal && { signal: options.signal }),
  });
  return { status: response.status, body: await response.json() } as Answer;
}

async function startFrom(agent: TestAgent, root: string, id: string, gen = 1, diskMb = LIMITS.diskMb) {
  const source = { root, token: "transfer", owner: "team_1" };
  const body = JSON.stringify({ limits: { ...LIMITS, diskMb }, source });
  const response = await agent.call("PUT", `/v1/sandboxes/${id}`, { sandbox: id, act: "lifecycle", gen, body });
  return { status: response.status, body: (await response.json()) as AgentSandbox & Failed };
}

const end = (agent: TestAgent, id: string, gen = 1, files = "wipe") =>
  agent.call("DELETE", `/v1/sandboxes/${id}?files=${files}`, { sandbox: id, act: "lifecycle", gen });

/** What is there, in words that are equal for equal files: names, kinds, modes, times, sizes, links, content. */
const LIST = `find . -mindepth 1 ! -name '*.sock' ! -type p -printf '%P %y %m %T@ %n %l ' -a \\( -type f -printf '%s\\n' -o -printf '\\n' \\) | LC_ALL=C sort
  find . -type f -readable -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum`;

/** Names that would break out of a list, a command or a pattern, and content of every kind. */
const FILL = `
  mkdir -p deep/er/est 'a b' -- '-rf' '*' 'new
line' "quote'\\"" .hidden
  echo one >deep/er/est/one; echo two >'new
line/$(id)'; echo three >'-rf/--checkpoint=1'; echo four >'*/?'; : >empty; printf 'x\\0y' >binary
  printf '\\377\\376' >"$(printf 'bad\\377name')"; echo e >'émoji 🚢'
  chmod 0750 'a b'; chmod 0400 empty; echo run >tool; chmod 0755 tool; echo s >secret; chmod 000 secret
  ln -s deep/er link; ln -s /etc/passwd outside; ln -s ../../.. up; ln -s nowhere broken; ln deep/er/est/one hard
  touch -d '2001-02-03 04:05:06.789' old; mkdir closed; echo c >closed/c; chmod 0500 closed; touch -h -d 2002-01-01 link
  mkfifo pipe; node -e 'require("net").createServer().listen("s.sock").on("listening",()=>process.exit())' 2>/dev/null
  truncate -s 100M sparse; printf end >>sparse; touch -d 1999-01-01 deep/er/est deep`;

const proxies: ChunkProxy[] = [];
afterEach(() => {
  for (const proxy of proxies) proxy.meddle = () => undefined;
});

describe.each([
  ["as root", {}],
  ["as an ordinary user", { ordinaryUser: true }],
  ["without isolation", { args: ["--insecure-no-isolation"] }],
])("snapshots by an agent that runs %s", (name, options) => {
  let proxy: ChunkProxy;
  let agent: TestAgent;
  beforeAll(async () => {
    proxy = await ChunkProxy.start();
    proxies.push(proxy);
    agent = await TestAgent.start({ ...options, control: proxy.control, bundled: true });
  });
  afterAll(async () => {
    await agent?.stop();
    proxy?.close();
  });

  test("files come back as they were: names, modes, times, links, holes; pipes and sockets stay out (R288)", async () => {
    const source = await agent.sandbox("sb_fill");
    const filled = await source.exec(FILL);
    expect(filled, filled.stderr).toMatchObject({ exitCode: 0 });
    const taken = await snapshot(source);
    expect(taken, JSON.stringify(taken.body)).toMatchObject({ status: 200 });
    const copy = await startFrom(agent, taken.body.root, "sb_copy");
    expect(copy, JSON.stringify(copy.body)).toMatchObject({ status: 200, body: { status: "running", filling: null } });
    const sandbox = { ...source, id: "sb_copy" };
    const there = Object.setPrototypeOf(sandbox, Object.getPrototypeOf(source)) as TestSandbox;
    const [before, after] = [await source.exec(LIST), await there.exec(LIST)];
    expect(after.stdout).toBe(before.stdout);
    expect(before.exitCode).toBe(0);
    expect((await there.exec("stat -c %b sparse; chmod 400 secret; cat secret")).stdout).toMatch(/^(8|16)\ns\n$/);
    expect((await there.exec("test -e pipe || test -e s.sock")).exitCode).toBe(1);
    expect(taken.body.bytes).toBeLessThan(1024 * 1024);
    for (const id of ["sb_fill", "sb_copy"]) await end(agent, id);
  });

  test("processes go on, nothing is seen to be paused, and it took a moment (R287)", async () => {
    const sandbox = await agent.sandbox("sb_runs");
    const counting = sandbox.exec("i=0; while [ ! -e stop ]; do i=$((i+1)); date +%s%N >>times; sleep 0.02; done");
    await until("it counts", async () => (await sandbox.exec("test -s times")).exitCode === 0);
    const during = Promise.all([1, 2, 3].map(async () => (await sandbox.exec("echo hi")).stdout));
    const taken = await snapshot(sandbox);
    expect(taken).toMatchObject({ status: 200 });
    expect(taken.body.frozenMs).toBeLessThan(3_000);
    expect(await during).toEqual(["hi\n", "hi\n", "hi\n"]);
    await sandbox.exec("sleep 0.2; touch stop");
    expect((await counting).exitCode).toBe(0);
    const times = (await sandbox.exec("cat times")).stdout
      .trim()
      .split("\n")
      .map((text) => Number(text) / 1e6);
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    expect(Math.max(...gaps)).toBeLessThan(taken.body.frozenMs + 1_000);
    await end(agent, "sb_runs");
  });

  test("what has not changed is not sent again, and the second sandbox from it fetches nothing", async () => {
    const sandbox = await agent.sandbox("sb_twice");
    await sandbox.exec("head -c 12000000 /dev/urandom >big; echo 1 >small");
    const first = await snapshot(sandbox);
    await sandbox.exec("echo 2 >small");
    const second = await snapshot(sandbox);
    expect(second.body.root).not.toBe(first.body.root);
    expect(first.body.sentBytes).toBeGreaterThan(12_000_000);
    expect(second.body.sentBytes).toBeLessThan(3_500_000);
    for (const [n, id] of ["sb_from1", "sb_from2"].entries()) {
      const before = proxy.seen.length;
      expect(await startFrom(agent, second.body.root, id)).toMatchObject({ status: 200 });
      const fetched = proxy.seen.slice(before).filter((call) => call.startsWith("GET")).length;
      expect(fetched > 0).toBe(n === 0);
      await end(agent, id);
    }
    await end(agent, "sb_twice");
  });

  test("a sandbox is filled once: later starts keep what it has", async () => {
    const sandbox = await agent.sandbox("sb_once");
    await sandbox.exec("echo template >file");
    const { body } = await snapshot(sandbox);
    await startFrom(agent, body.root, "sb_kept");
    const made = (gen: number) =>
      Object.setPrototypeOf({ ...sandbox, id: "sb_kept", gen }, Object.getPrototypeOf(sandbox));
    await made(1).exec("echo mine >file");
    expect(await startFrom(agent, body.root, "sb_kept", 2)).toMatchObject({ status: 200 });
    expect((await made(2).exec("cat file")).stdout).toBe("mine\n");
    for (const [id, gen] of [
      ["sb_once", 1],
      ["sb_kept", 2],
    ] as const)
      await end(agent, id, gen);
  });

  test.each([
    ["a wrong chunk", (p: ChunkProxy, hash: string) => p.chunks.set(hash, Buffer.from("nonsense"))],
    ["a missing chunk", (p: ChunkProxy, hash: string) => p.chunks.delete(hash)],
    ["another chunk", (p: ChunkProxy, hash: string) => p.chunks.set(hash, [...p.chunks.values()].at(-1)!)],
  ])("%s fails the start in words, and leaves nothing behind (H7)", async (what, spoil) => {
    const id = `sb_${what.replaceAll(" ", "_")}`;
    const sandbox = await agent.sandbox("sb_spoilt");
    await sandbox.exec("head -c 3000000 /dev/urandom >big");
    const { body } = await snapshot(sandbox);
    const { hash } = proxy.manifest(body.root).chunks.at(-1)!;
    const good = proxy.chunks.get(hash)!;
    spoil(proxy, hash);
    const failed = await startFrom(agent, body.root, id);
    expect(failed).toMatchObject({ status: 503, body: { error: { code: "transfer_failed" } } });
    expect(failed.body.error.message).toMatch(/chunk|404/);
    expect(readdirSync(join(agent.folder, "state/sandboxes"))).not.toContain(id);
    proxy.chunks.set(hash, good);
    expect(await startFrom(agent, body.root, id, 2)).toMatchObject({ status: 200 });
    await end(agent, id, 2);
    await end(agent, "sb_spoilt");
  });

  test("lost connections are gone over, and a refusal ends it without a trace", async () => {
    const sandbox = await agent.sandbox("sb_lossy");
    await sandbox.exec("head -c 5000000 /dev/urandom >big");
    const tried = new Set<string>();
    // The first attempt at each call fails, one way or the other.
    proxy.meddle = (call) => (tried.has(call) ? undefined : tried.add(call).size % 2 === 0 ? null : 503);
    const taken = await snapshot(sandbox);
    expect(taken, JSON.stringify(taken.body)).toMatchObject({ status: 200 });
    expect(await startFrom(agent, taken.body.root, "sb_through")).toMatchObject({ status: 200 });
    proxy.meddle = () => undefined;
    expect(await snapshot(sandbox, { token: "wrong" })).toMatchObject({
      status: 503,
      body: { error: { code: "transfer_failed" } },
    });
    expect(readdirSync(join(agent.folder, "state/spool"))).toEqual([]);
    expect((await sandbox.exec("echo runs")).stdout).toBe("runs\n");
    for (const id of ["sb_lossy", "sb_through"]) await end(agent, id);
  });

  test("ten thousand files come back", async () => {
    const sandbox = await agent.sandbox("sb_many");
    await sandbox.exec("for d in $(seq 100); do mkdir d$d; for f in $(seq 100); do echo $d$f >d$d/f$f; done; done", {
      timeoutMs: 50_000,
    });
    const taken = await snapshot(sandbox);
    expect(proxy.manifest(taken.body.root).entries).toBe(10_100);
    expect(await startFrom(agent, taken.body.root, "sb_all")).toMatchObject({ status: 200 });
    const copy = Object.setPrototypeOf({ ...sandbox, id: "sb_all" }, Object.getPrototypeOf(sandbox)) as TestSandbox;
    expect((await copy.exec("find . -type f | wc -l; cat d42/f17")).stdout).toBe("10000\n4217\n");
    for (const id of ["sb_many", "sb_all"]) await end(agent, id);
  });

  test("killing what packs, or hanging up, leaves the sandbox running (R287)", async () => {
    const sandbox = await agent.sandbox("sb_killed");
    await sandbox.exec("head -c 800000000 /dev/zero >big");
    const packing = snapshot(sandbox);
    await until("it packs", () => processesWith("exthdr.name=").length > 0);
    for (const pid of processesWith("exthdr.name=")) process.kill(pid, "SIGKILL");
    expect(await packing).toMatchObject({ status: 503, body: { error: { code: "snapshot_failed" } } });
    expect((await sandbox.exec("echo runs")).stdout).toBe("runs\n");
    const gone = new AbortController();
    let asked: () => void;
    const sending = new Promise<void>((resolve) => {
      asked = resolve;
    });
    proxy.meddle = () => {
      asked();
      return new Promise(() => {});
    };
    const cut = snapshot(sandbox, { signal: gone.signal }).catch(() => "gone");
    await sending;
    expect((await snapshot(sandbox)).body.error.message).toContain("another snapshot");
    gone.abort();
    expect(await cut).toBe("gone");
    proxy.meddle = () => undefined;
    await until("the archive is gone", () => readdirSync(join(agent.folder, "state/spool")).length === 0);
    expect((await sandbox.exec("echo runs")).stdout).toBe("runs\n");
    await until("the next one is taken", async () => (await snapshot(sandbox)).status === 200);
    await end(agent, "sb_killed");
  });

  test("a start that is stopped while files come ends at once, and another may follow (R180)", async () => {
    const sandbox = await agent.sandbox("sb_slow");
    await sandbox.exec("head -c 3000000 /dev/urandom >big");
    const { body } = await snapshot(sandbox);
    const { hash } = proxy.manifest(body.root).chunks.at(-1)!;
    proxy.meddle = (call) => (call === `GET ${hash}` ? new Promise(() => {}) : undefined);
    const starting = startFrom(agent, body.root, "sb_stopped");
    await until("it fetches", () => proxy.seen.includes(`GET ${hash}`));
    const shown = await agent.call("GET", "/v1/sandboxes/sb_stopped", { sandbox: "sb_stopped" });
    expect(await shown.json()).toMatchObject({ status: "stopped" });
    expect((await end(agent, "sb_stopped", 2)).status).toBe(204);
    expect((await starting).status).not.toBe(200);
    proxy.meddle = () => undefined;
    expect(await startFrom(agent, body.root, "sb_stopped", 3)).toMatchObject({ status: 200 });
    for (const [id, gen] of [
      ["sb_slow", 1],
      ["sb_stopped", 3],
    ] as const)
      await end(agent, id, gen);
  });

  test("only the current lease and a token for the lifecycle may take one, and not of a paused sandbox (H5)", async () => {
    const sandbox = await agent.sandbox("sb_lease", {}, 4);
    const at = (gen: number, act: string) =>
      agent.call("POST", "/v1/sandboxes/sb_lease/snapshot", {
        ...{ sandbox: "sb_lease", act, gen, body: '{"token":"transfer"}' },
      });
    expect((await at(4, "use")).status).toBe(401);
    expect(((await (await at(3, "lifecycle")).json()) as Failed).error.code).toBe("stale_generation");
    expect(((await (await at(5, "lifecycle")).json()) as Failed).error.code).toBe("sandbox_not_running");
    await agent.call("POST", "/v1/sandboxes/sb_lease/freeze", { sandbox: "sb_lease", act: "lifecycle", gen: 4 });
    expect(await snapshot(sandbox)).toMatchObject({ status: 409, body: { error: { code: "sandbox_paused" } } });
    await end(agent, "sb_lease", 4);
  });

  test.runIf(name === "as root" && canLimitDisks)("files that do not fit on the disk fail the start (H4)", async () => {
    const sandbox = await agent.sandbox("sb_large");
    await sandbox.exec("head -c 60000000 /dev/urandom >big");
    const { body } = await snapshot(sandbox);
    const failed = await startFrom(agent, body.root, "sb_tight", 1, 32);
    expect(failed).toMatchObject({ status: 503, body: { error: { code: "start_failed" } } });
    expect(failed.body.error.message).toContain("not enough room on the disk");
    await end(agent, "sb_large");
  });
});

test("an archive that lies outside its folder, or holds devices, harms nothing (H7)", async () => {
  const proxy = await ChunkProxy.start();
  const agent = await TestAgent.start({ control: proxy.control, bundled: true });
  const { gzipSync } = await import("node:zlib");
  const { createHash } = await import("node:crypto");
  const put = (bytes: Buffer) => {
    const hash = createHash("sha256").update(bytes).digest("hex");
    proxy.chunks.set(hash, gzipSync(bytes));
    return { hash, bytes: bytes.length };
  };
  const hostile = (script: string) => {
    const made = spawnSync("bash", ["-c", script], { maxBuffer: 1e9, cwd: agent.folder });
    const chunk = put(made.stdout);
    return put(Buffer.from(JSON.stringify({ v: 1, format: "tar", bytes: chunk.bytes, entries: 1, chunks: [chunk] })))
      .hash;
  };
  const marker = join(agent.folder, "escaped");
  const archives = [
    `mkdir a; ln -s ${agent.folder} a/link; tar -C a -c link >1.tar; rm a/link; mkdir a/link; echo x >a/link/escaped; tar -C a -r -f 1.tar link/escaped; cat 1.tar`,
    `echo x >f; tar -P -c --transform='s,f,../../../../../../${marker},' f`,
    `echo x >f; tar -P -c --transform='s,f,${marker},' f`,
    "mknod dev b 259 0; tar -c dev",
  ];
  for (const [n, script] of archives.entries()) {
    await startFrom(agent, hostile(script), `sb_hostile${n}`);
    expect(readdirSync(agent.folder)).not.toContain("escaped");
  }
  const { stdout } = spawnSync("find", [join(agent.folder, "state/sandboxes"), "-type", "b"]);
  expect(stdout.toString()).toBe("");
  await agent.stop();
  proxy.close();
});

test("an agent that is killed while files come begins anew, and leaves no archive of a snapshot (H1)", async () => {
  const proxy = await ChunkProxy.start();
  const first = await TestAgent.start({ control: proxy.control, bundled: true });
  const sandbox = await first.sandbox("sb_source");
  await sandbox.exec("head -c 3000000 /dev/urandom >big; sha256sum big >sum");
  const { body } = await snapshot(sandbox);
  proxy.meddle = (call) => (call.startsWith("GET") && call !== `GET ${body.root}` ? new Promise(() => {}) : undefined);
  startFrom(first, body.root, "sb_half").catch(() => "killed");
  await until("it fetches", () => proxy.seen.filter((call) => call.startsWith("GET")).length > 1);
  snapshot(sandbox).catch(() => "killed");
  first.process.kill("SIGKILL");
  await first.exited;
  proxy.meddle = () => undefined;
  const next = await TestAgent.start({ control: proxy.control, folder: first.folder, bundled: true });
  expect(readdirSync(join(next.folder, "state/spool"))).toEqual([]);
  expect(JSON.parse(readFileSync(join(next.folder, "state/private/sandboxes/sb_half.json"), "utf8")).files).toBe(
    "filling",
  );
  expect(await startFrom(next, body.root, "sb_half", 2)).toMatchObject({ status: 200 });
  const half = Object.setPrototypeOf(
    { ...sandbox, agent: next, id: "sb_half", gen: 2 },
    Object.getPrototypeOf(sandbox),
  );
  expect((await half.exec("sha256sum -c sum")).stdout).toBe("big: OK\n");
  await next.stop();
  proxy.close();
});
