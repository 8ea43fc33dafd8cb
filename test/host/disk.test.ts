import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentMetrics } from "#protocol/host-agent";
import { canLimitDisks, isRoot, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { FakeControlPlane } from "#test/node/control-plane";
import { openFolder } from "#test/node/open-folder";

const MIB = 1024 * 1024;

const mountsOf = (folder: string) =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(` ${folder}/`));

/** Block devices that read a file below this folder. */
const devicesOf = (folder: string) =>
  readdirSync("/sys/block").filter((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    return existsSync(file) && readFileSync(file, "utf8").startsWith(folder);
  });

const end = ({ agent, id, gen }: TestSandbox, files = "keep") =>
  agent.call("DELETE", `/v1/sandboxes/${id}?files=${files}`, { sandbox: id, act: "lifecycle", gen });

/** Runs a command and tells which limit it ran into, as its host says. */
async function limitOf(sandbox: TestSandbox, command: string) {
  const answer = await sandbox.call("POST", "/exec", JSON.stringify({ execId: `limit-${Math.random()}`, command }));
  return { limit: answer.headers.get("x-exec-limit"), result: (await answer.json()) as { stderr: string } };
}

const note = (sandbox: TestSandbox) => sandbox.started.unenforced.filter((text) => text.startsWith("disk space"));

describe.runIf(canLimitDisks)("disks of an agent that runs as root", () => {
  let agent: TestAgent;

  beforeAll(async () => {
    agent = await TestAgent.start();
  });
  afterAll(() => agent?.stop());

  test("it can limit disks here", () => {
    expect(agent.ready.unenforced.filter((text) => text.startsWith("disk space"))).toEqual([]);
  });

  test("H4: the sum of all files is limited and named, files of others are not touched, and room comes back", async () => {
    const [full, other] = [await agent.sandbox("sb_full", { diskMb: 64 }), await agent.sandbox("sb_other")];
    expect((await limitOf(full, "echo small >small")).limit).toBeNull();
    const { limit, result } = await limitOf(full, "for i in 1 2 3 4; do head -c 20M /dev/zero >$i || exit 1; done");
    expect(limit).toBe("disk");
    expect(result.stderr).toContain("No space left");
    const used = Number((await full.exec("cat 1 2 3 4 | wc -c")).stdout);
    expect(used).toBeGreaterThan(60 * MIB);
    expect(used).toBeLessThanOrEqual(64 * MIB);
    expect(await full.write("late", "x".repeat(MIB))).toMatchObject({ status: 507, body: { code: "disk_full" } });
    expect((await other.exec("head -c 100M /dev/zero >big && wc -c <big")).stdout).toBe(`${100 * MIB}\n`);
    await full.exec("rm 1 2");
    expect((await limitOf(full, "head -c 10M /dev/zero >again")).limit).toBeNull();
    expect((await full.exec("cat small; wc -c <again")).stdout).toBe(`small\n${10 * MIB}\n`);
  });

  test("H4: the number of files is limited and named, and the sandbox stays usable", async () => {
    const sandbox = await agent.sandbox("sb_inodes", { diskMb: 16 });
    const bomb = "mkdir d; cd d; i=0; while true 2>/dev/null >$i; do i=$((i+1)); done; echo $i >&2";
    const { limit, result } = await limitOf(sandbox, bomb);
    expect(limit).toBe("disk");
    expect(Number(result.stderr.split("\n").at(-2))).toBeGreaterThan(1000);
    expect((await sandbox.exec("rm -r d && echo fine >ok && cat ok")).stdout).toBe("fine\n");
  });

  test("what is used of it is measured as it changes (R269)", async () => {
    const sandbox = await agent.sandbox("sb_metric", { diskMb: 128 });
    const latest = async () => {
      const path = "/v1/sandboxes/sb_metric/metrics?tier=10m";
      const answer = await agent.call("GET", path, { sandbox: "sb_metric" });
      return AgentMetrics.parse(await answer.json()).tiers["10m"]?.at(-1)?.diskBytes ?? Number.NaN;
    };
    await until("it is nearly nothing", async () => (await latest()) < MIB);
    await sandbox.exec("head -c 30M /dev/urandom >big; sync");
    await until("it has grown", async () => (await latest()) >= 30 * MIB);
    await sandbox.exec("rm big; sync");
    await until("it has shrunk", async () => (await latest()) < MIB);
  });

  test("H3: no device and no privilege of a program counts on it, and the host's path does not show inside", async () => {
    const sandbox = await agent.sandbox("sb_flags");
    const mounts = mountsOf(agent.folder).filter((line) => line.includes("sb_flags"));
    expect(mounts).toHaveLength(1);
    expect(mounts[0]).toMatch(/nosuid.*nodev/);
    const { stdout } = await sandbox.exec("ls -A; stat -c '%u %a' .; grep ' /workspace ' /proc/self/mountinfo");
    expect(stdout).toMatch(/^1000 700\n/);
    expect(stdout).not.toContain(agent.folder);
    const image = statSync(join(agent.folder, "state/disks/sb_flags.ext4"));
    expect([image.uid, image.mode & 0o777]).toEqual([0, 0o600]);
    // Sparse: an unused disk takes next to nothing.
    expect(image.blocks * 512).toBeLessThan(4 * MIB);
  });

  test("files outlive a stop; wiping leaves no file, mount or device", async () => {
    const first = await agent.sandbox("sb_life", { diskMb: 32 });
    await first.write("kept", "here");
    await end(first);
    expect(mountsOf(agent.folder).filter((line) => line.includes("sb_life"))).toEqual([]);
    const second = await agent.sandbox("sb_life", { diskMb: 64 }, 2);
    expect((await second.exec("cat kept")).stdout).toBe("here");
    expect(note(second).join()).toContain("keeps the disk it was made with");
    expect((await end(second, "wipe")).status).toBe(204);
    expect((await end(second, "wipe")).status).toBe(204);
    expect(devicesOf(join(agent.folder, "state/disks/sb_life"))).toEqual([]);
    for (const left of ["disks/sb_life.ext4", "sandboxes/sb_life"]) {
      expect(existsSync(join(agent.folder, "state", left))).toBe(false);
    }
    expect((await (await agent.sandbox("sb_life", {}, 3)).exec("ls -A")).stdout).toBe("");
  });

  test("starting and stopping again and again keeps every file", async () => {
    for (let gen = 1; gen <= 8; gen++) {
      const sandbox = await agent.sandbox("sb_again", { diskMb: 32 }, gen);
      const { stdout } = await sandbox.exec(`
        touch log sums; wc -l <log; sha256sum --quiet -c sums 2>&1 | grep -v 'no properly formatted'
        echo ${gen} >>log; head -c 100000 /dev/urandom >f${gen}; sha256sum f* >sums`);
      expect(stdout).toBe(`${gen - 1}\n`);
      if (gen % 2) await end(sandbox);
    }
  });
});

test.runIf(canLimitDisks)(
  "H1: an agent that is killed leaves mounts to its successor only, and no file is lost",
  async () => {
    const control = await FakeControlPlane.start();
    const first = await TestAgent.start({ control });
    const folder = first.folder;
    const sandbox = await first.sandbox("sb_1", { diskMb: 32 });
    await sandbox.exec("echo kept >kept; sync");
    void sandbox.exec("while :; do date >>log; done").catch(() => "lost");
    first.process.kill("SIGKILL");
    await first.exited;
    const next = await TestAgent.start({ control, folder });
    expect(mountsOf(folder)).toEqual([]);
    expect((await (await next.sandbox("sb_1", { diskMb: 32 }, 2)).exec("cat kept")).stdout).toBe("kept\n");
    next.process.kill("SIGTERM");
    expect(await next.exited).toBe(0);
    expect([mountsOf(folder), devicesOf(folder)]).toEqual([[], []]);
    await next.stop();
  },
);

test.runIf(canLimitDisks)(
  "H1: mounts of a killed agent that has no successor are undone by the next agent of the machine",
  async () => {
    const lost = await TestAgent.start();
    await lost.sandbox("sb_1", { diskMb: 16 });
    const alive = await TestAgent.start();
    await (await alive.sandbox("sb_1", { diskMb: 16 })).write("kept", "here");
    lost.process.kill("SIGKILL");
    await lost.exited;
    expect(mountsOf(lost.folder)).toHaveLength(1);
    const next = await TestAgent.start();
    expect(mountsOf(lost.folder)).toEqual([]);
    expect(mountsOf(alive.folder)).toHaveLength(1);
    await until("its device is free", () => devicesOf(lost.folder).length === 0);
    for (const agent of [alive, next, lost]) await agent.stop();
  },
);

test.runIf(canLimitDisks)(
  "switched off, new files are in plain folders, while disks that exist are still used",
  async () => {
    const control = await FakeControlPlane.start();
    const first = await TestAgent.start({ control });
    await (await first.sandbox("sb_disk")).write("kept", "on its disk");
    first.process.kill("SIGTERM");
    await first.exited;
    const next = await TestAgent.start({ control, folder: first.folder, args: ["--no-disk-quota"] });
    expect(next.ready.unenforced.join()).toContain("disk space");
    expect(next.ready.unenforced.join()).toContain("switched off");
    expect((await (await next.sandbox("sb_disk", {}, 2)).exec("cat kept")).stdout).toBe("on its disk");
    await (await next.sandbox("sb_plain")).write("kept", "plainly");
    expect(readFileSync(join(next.folder, "state/sandboxes/sb_plain/kept"), "utf8")).toBe("plainly");
    next.process.kill("SIGTERM");
    await next.exited;
    // Files of such a folder stay where they are when disks are switched on.
    const last = await TestAgent.start({ control, folder: first.folder });
    const plain = await last.sandbox("sb_plain", {}, 2);
    expect((await plain.exec("cat kept")).stdout).toBe("plainly");
    expect(note(plain)).toHaveLength(1);
    expect(note(await last.sandbox("sb_fresh"))).toEqual([]);
    await last.stop();
  },
);

test.runIf(isRoot)("a state folder of an agent that knew no disks keeps working", async () => {
  const folder = openFolder();
  const old = join(folder, "state/sandboxes/sb_old");
  mkdirSync(old, { recursive: true });
  writeFileSync(join(old, "kept"), "old");
  chownSync(join(old, "kept"), 12_345, 12_345);
  const agent = await TestAgent.start({ folder });
  const sandbox = await agent.sandbox("sb_old");
  expect((await sandbox.exec("cat kept; echo new >new; cat new")).stdout).toBe("oldnew\n");
  expect(note(sandbox)).toHaveLength(1);
  await agent.stop();
});
