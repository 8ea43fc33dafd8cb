import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentMetrics, type AgentSandbox } from "#protocol/host-agent";
import { until } from "#test/node/agent";
import { type Machine, MachineSandbox, refusalOf, SMALL } from "#test/node/machine";

const MIB = 1024 * 1024;

/** What every backend must do, whatever runs the sandbox; see `protocol/host-agent`. */
export function describeBackend(name: string, open: () => Promise<Machine>): void {
  describe(name, () => {
    let machine: Machine;
    let one: MachineSandbox;

    beforeAll(async () => {
      machine = await open();
      one = new MachineSandbox(machine, "sb_one");
      await one.start();
    }, 120_000);
    afterAll(() => machine?.close());

    test("starting twice is one start", async () => {
      const twice = new MachineSandbox(machine, "sb_twice");
      const [first, second] = await Promise.all([twice.start(), twice.start()]);
      expect(first).toMatchObject({ id: "sb_twice", generation: 1, status: "running" });
      expect(second).toEqual(first);
      expect(await twice.look()).toMatchObject({ status: 200, body: { status: "running", generation: 1 } });
      expect(await twice.stop("wipe")).toBe(204);
    });

    test("a command has the environment and folder it is given, and answers streams and exit code", async () => {
      const command = 'echo "$GREETING"; echo err >&2; exit 3';
      expect(await one.exec(command, { env: { GREETING: "hello" } })).toMatchObject({
        ...{ stdout: "hello\n", stderr: "err\n", exitCode: 3, signal: null, timedOut: false },
      });
      await one.exec("mkdir -p folder && echo inside > folder/file");
      expect((await one.exec("cat file", { cwd: "folder" })).stdout).toBe("inside\n");
      expect((await one.exec(["printf", "%s|", "a b", "$HOME", "*"])).stdout).toBe("a b|$HOME|*|");
      expect((await one.exec("env")).stdout).not.toMatch(/CONTROL_KEYS|TOKEN|SECRET/);
    });

    test("a command is killed with everything it started, by its caller or at its time limit", async () => {
      const mark = `7${Math.floor(Math.random() * 1e6)}.5`;
      const command = `(setsid sleep ${mark} >/dev/null 2>&1 &) ; (env -i setsid sleep ${mark} >/dev/null 2>&1 &) ; sleep ${mark}`;
      const left = async () => (await one.exec(["pgrep", "-f", `sleep ${mark}`])).stdout;
      expect(await one.exec(command, { timeoutMs: 500 })).toMatchObject({ timedOut: true, exitCode: 137 });
      expect(await left()).toBe("");
      const running = one.exec(command, { execId: "to-kill" });
      await until("it runs", async () => (await left()).split("\n").length > 3);
      expect((await one.use("DELETE", "/exec/to-kill")).status).toBe(204);
      expect(await running).toMatchObject({ exitCode: 137 });
      expect(await left()).toBe("");
    });

    test("files come back byte by byte, and none is reached outside of the workspace", async () => {
      const bytes = randomBytes(3 * MIB);
      expect((await one.write("deep/folder/data.bin", bytes)).status).toBe(200);
      const back = await one.use("GET", "/files/content?path=deep/folder/data.bin");
      expect(sha256(Buffer.from(await back.arrayBuffer()))).toBe(sha256(bytes));
      expect((await one.exec("sha256sum deep/folder/data.bin")).stdout).toContain(sha256(bytes));
      const move = JSON.stringify({ source: "deep/folder/data.bin", target: "moved.bin", overwrite: false });
      expect((await one.use("POST", "/files/move", move)).status).toBe(200);
      const list = await one.use("GET", "/files/list?path=.&sortBy=name&order=asc&offset=0&limit=100");
      expect(await list.json()).toMatchObject({
        entries: expect.arrayContaining([expect.objectContaining({ name: "moved.bin" })]),
      });
      expect((await one.use("DELETE", "/files?path=moved.bin&recursive=false")).status).toBe(200);
      await one.exec("ln -s /etc/passwd out");
      for (const path of ["../../etc/passwd", "/etc/passwd", "out"]) {
        const refused = await one.use("GET", `/files/content?path=${encodeURIComponent(path)}`);
        expect(refused.status).toBeGreaterThanOrEqual(400);
      }
    });

    test("a background process is started, listed, fed, followed and killed", async () => {
      const start = { tag: "echoer", command: 'while read -r line; do echo "got $line"; done', stdin: "pipe" };
      expect((await one.use("POST", "/processes", JSON.stringify(start))).status).toBe(200);
      const listed = (await (await one.use("GET", "/processes")).json()) as { processes: { tag: string }[] };
      expect(listed.processes.map(({ tag }) => tag)).toContain("echoer");
      const stream = await one.use("GET", "/processes/echoer/stream");
      expect((await one.use("POST", "/processes/echoer/input", "ping\n")).status).toBe(204);
      expect((await one.use("DELETE", "/processes/echoer/input")).status).toBe(204);
      const lines = (await stream.text()).trim().split("\n");
      const seen = lines.map((line) => JSON.parse(line) as { type: string; data?: string; exitCode?: number });
      const output = Buffer.concat(seen.map(({ data }) => Buffer.from(data ?? "", "base64"))).toString();
      expect([output, seen.at(-1)]).toMatchObject(["got ping\n", { type: "exit", exitCode: 0 }]);
    });

    test("much output comes whole", async () => {
      const { stdout } = await one.exec("head -c 2000000 /dev/zero | tr '\\0' x");
      expect(stdout.length).toBe(2_000_000);
    });

    test("what it uses is measured", async () => {
      await until("there are points", async () => {
        const response = await one.lifecycle("GET", "/metrics?tier=10m");
        return (AgentMetrics.parse(await response.json()).tiers["10m"] ?? []).length > 0;
      });
    });

    test("pausing keeps what its mode promises, and nothing runs meanwhile", async () => {
      const paused = new MachineSandbox(machine, "sb_paused");
      await paused.start();
      await paused.exec("echo kept > file; mkdir -p a/b; ln -s ../file a/link; chmod 750 a");
      await paused.exec("sleep 600 >/dev/null 2>&1 &");
      expect(await paused.pause()).toMatchObject({ status: "paused", generation: 1 });
      expect(await paused.pause()).toMatchObject({ status: "paused" });
      expect(await paused.look()).toMatchObject({ status: 200, body: { status: "paused" } });
      const refused = await paused.use("GET", "/health");
      expect(await refusalOf(refused)).toEqual({ status: 409, code: "sandbox_paused" });
      expect(await paused.resume()).toMatchObject({ status: "running", generation: 1 });
      expect(await paused.resume()).toMatchObject({ status: "running" });
      expect((await paused.exec("cat file a/link; stat -c %a a; stat -c %U . || true")).stdout).toMatch(
        /^kept\nkept\n750\n/,
      );
      const isAlive = (await paused.exec(["pgrep", "-x", "sleep"])).exitCode === 0;
      expect(isAlive).toBe(machine.pauseKeeps === "memory");
      await paused.write("file", "again");
      await paused.pause();
      expect(await paused.next().stop("wipe")).toBe(204);
    });

    test("stopping keeps the files, wiping deletes them, and both can be repeated", async () => {
      const first = new MachineSandbox(machine, "sb_life");
      await first.start();
      await first.write("kept", "still here");
      const stop = first.next();
      expect([await stop.stop("keep"), await stop.stop("keep")]).toEqual([204, 204]);
      expect(await stop.look()).toMatchObject({ status: 200, body: { status: "stopped" } });
      expect((await stop.use("GET", "/health")).status).toBe(409);
      const again = stop.next();
      await again.start();
      expect((await again.exec("cat kept")).stdout).toBe("still here");
      const wipe = again.next();
      expect([await wipe.stop("wipe"), await wipe.stop("wipe")]).toEqual([204, 204]);
      expect((await wipe.look()).status).toBe(404);
      const fresh = wipe.next();
      await fresh.start();
      expect((await fresh.exec("ls -A")).stdout).toBe("");
      await fresh.next().stop("wipe");
    });

    test("a generation that was replaced is refused, its commands end, and a newer one is not there yet", async () => {
      const old = new MachineSandbox(machine, "sb_gen", 4);
      await old.start();
      await old.write("kept", "here");
      const running = old.exec("sleep 600", { execId: "old" }).catch(() => "ended");
      await until("it runs", async () => (await old.exec(["pgrep", "-x", "sleep"])).stdout !== "");
      const current = old.next();
      await current.start();
      expect(await running).toBe("ended");
      expect((await current.exec("cat kept; pgrep -x sleep")).stdout).toBe("here");
      for (const refused of [
        await old.use("GET", "/health"),
        await old.lifecycle("GET"),
        await old.lifecycle("DELETE"),
      ]) {
        expect(await refusalOf(refused)).toEqual({ status: 409, code: "stale_generation" });
      }
      const early = await current.next().use("GET", "/health");
      expect(await refusalOf(early)).toEqual({ status: 409, code: "sandbox_not_running" });
      await current.next().stop("wipe");
    });

    test("calls without the right token are refused", async () => {
      const call = { sandbox: "sb_one", gen: 1, act: "use" } as const;
      const path = "/v1/sandboxes/sb_one";
      const body = JSON.stringify({ limits: SMALL });
      const refused = await Promise.all([
        machine.call("GET", `${path}/supervisor/v1/health`, { ...call, audience: "host_other" }),
        machine.call("GET", `${path}/supervisor/v1/health`, { ...call, sandbox: "sb_other" }),
        machine.call("GET", `${path}/supervisor/v1/health`, { ...call, act: "lifecycle" }),
        machine.call("PUT", path, { ...call, body }),
        machine.call("DELETE", path, call),
        machine.call("POST", `${path}/freeze`, call),
      ]);
      for (const response of refused) expect(await refusalOf(response)).toEqual({ status: 401, code: "unauthorized" });
      expect((await one.exec("echo alive")).stdout).toBe("alive\n");
    });

    test("one sandbox sees nothing of another", async () => {
      const other = new MachineSandbox(machine, "sb_other");
      await other.start();
      await other.exec("echo theirs > secret; sleep 4321 >/dev/null 2>&1 &");
      expect((await one.exec("cat secret 2>/dev/null; pgrep -x sleep")).stdout).toBe("");
      await other.next().stop("wipe");
    });

    test("a sandbox whose machine was lost starts again, with the files that outlive that", async () => {
      const lost = new MachineSandbox(machine, "sb_lost");
      await lost.start();
      await lost.write("saved", "before");
      const second = lost.next();
      await second.stop("keep");
      const third = second.next();
      await third.start();
      await third.write("unsaved", "after");
      const running = third.exec("sleep 600").then(
        () => "answered",
        () => "broken",
      );
      await until("it runs", async () => (await third.exec(["pgrep", "-x", "sleep"])).stdout !== "");
      await machine.lose("sb_lost");
      expect(await running).toBe("broken");
      await until("it is told to be gone", async () => (await third.look()).body.status === "stopped");
      const fourth = third.next();
      expect((await fourth.start()) satisfies AgentSandbox).toMatchObject({ status: "running", generation: 4 });
      const kept = machine.lossKeeps === "files" ? "before after" : "before ";
      expect((await fourth.exec('echo "$(cat saved) $(cat unsaved 2>/dev/null)"')).stdout).toBe(`${kept}\n`);
      await fourth.next().stop("wipe");
    });
  });
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
