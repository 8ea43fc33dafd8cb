import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ProductCapsule } from "#test/node/product-capsule";

let capsule: ProductCapsule;

beforeAll(async () => {
  capsule = await ProductCapsule.start();
}, 180_000);
afterAll(async () => {
  await capsule?.product.stop();
});

const sh = (line: string, more: object = {}) => ({ cmd: "/bin/sh", args: ["-c", line], ...more });
const soon = { timeout: 10_000, interval: 50 };
/** How many processes of the capsule have a word in their command line. */
const running = async (word: string) => Number(await capsule.sh(`pgrep -fc -- '[${word[0]}]${word.slice(1)}' || true`));
const processes = async () => (await capsule.ask("GET", capsule.path("processes"))).body.processes;
const kill = (selector: string | number, query = "") =>
  capsule.ask("DELETE", capsule.path(`processes/${selector}${query}`));

describe("in the foreground", () => {
  test("output, exit code and duration are the process's own (R182, R183, R184)", async () => {
    const { status, body } = await capsule.exec(sh("echo out; echo err >&2; sleep 0.1; exit 3"));
    expect([status, body]).toEqual([
      200,
      {
        ...{ sandbox_id: capsule.id, cmd: "/bin/sh", stdout: "out\n", stderr: "err\n", exit_code: 3 },
        ...{ encoding: "utf-8", duration_ms: expect.any(Number) },
      },
    ]);
    expect(body.duration_ms).toBeGreaterThanOrEqual(100);
  });

  test("binary output comes as base64 (R184)", async () => {
    const { body } = await capsule.exec(sh("printf '\\377\\000'; echo text >&2"));
    expect(body).toMatchObject({ stdout: "/wA=", stderr: "dGV4dAo=", encoding: "base64", exit_code: 0 });
  });

  test("arguments are not interpreted, and nothing leaks from one to the next (R191, R193, R194)", async () => {
    const { body } = await capsule.exec({ cmd: "printf", args: ["%s|", "a b", "$HOME", "*; id"] });
    expect(body.stdout).toBe("a b|$HOME|*; id|");
    const first = await capsule.exec(sh('cd /tmp; export B=2; echo "$A $PWD"', { envs: { A: "1" }, cwd: "/usr" }));
    expect(first.body.stdout).toBe("1 /tmp\n");
    expect((await capsule.exec(sh('echo "[$A$B] $PWD"'))).body.stdout).toBe("[] /workspace\n");
  });

  test("a command whose client breaks the connection is killed", async () => {
    const body = JSON.stringify(sh("sleep 4242", { timeout_sec: 600 }));
    const lines = [`POST ${capsule.path("exec")} HTTP/1.1`, "host: localhost", `x-api-key: ${capsule.product.apiKey}`];
    const more = ["content-type: application/json", `content-length: ${body.length}`, "", body];
    const socket = connect(Number(new URL(capsule.product.url).port), "127.0.0.1");
    socket.write([...lines, ...more].join("\r\n"));
    await vi.waitFor(async () => expect(await running("sleep 4242")).toBeGreaterThan(0), soon);
    socket.resetAndDestroy();
    await vi.waitFor(async () => expect(await running("sleep 4242")).toBe(0), soon);
  });

  test("what cannot be started ends with 127 or 126, and a missing directory is 400 (A41, R192)", async () => {
    const missing = await capsule.exec({ cmd: "no-such-program" });
    expect(missing).toMatchObject({ status: 200, body: { exit_code: 127, stdout: "" } });
    expect(missing.body.stderr).toContain("no-such-program");
    await capsule.sh("echo no program > plain");
    expect(await capsule.exec({ cmd: "./plain" })).toMatchObject({ status: 200, body: { exit_code: 126 } });
    expect(await capsule.exec(sh("true", { cwd: "/nowhere" }))).toMatchObject({ status: 400 });
  });

  test("one whose time is up is 504, its whole tree killed, and holds up no other (R187)", async () => {
    const late = capsule.exec(sh("sleep 4711 & sleep 4711; true", { timeout_sec: 2 }));
    await expect.poll(() => running("sleep 4711"), soon).toBeGreaterThan(0);
    expect((await capsule.exec(sh("echo meanwhile"))).body.stdout).toBe("meanwhile\n");
    expect(await late).toMatchObject({ status: 504, body: { error: { code: "timeout" } } });
    expect(await running("sleep 4711")).toBe(0);
  });

  test("output beyond 16 MiB is cut and says so (R204)", async () => {
    const { status, body } = await capsule.exec(sh("yes | head -c 17000000; echo done >&2"));
    expect([status, body.stdout.length, body.stderr, body.truncated]).toEqual([200, 2 ** 24, "done\n", true]);
  });
});

describe("in the background", () => {
  test("a process outlives its request, is listed while it runs, and may be killed by tag or id (R188 to R201)", async () => {
    const begun = performance.now();
    const named = await capsule.exec(
      sh("echo $A > made; sleep 4713; true", { background: true, tag: "mine", envs: { A: "1" } }),
    );
    const made = await capsule.exec({ cmd: "sleep", args: ["4713"], background: true });
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(named).toMatchObject({ status: 202, body: { tag: "mine", pid: expect.any(Number) } });
    expect(made.body.tag).toMatch(/^proc-[0-9a-f]{8}$/);
    expect(await processes()).toEqual([
      { pid: named.body.pid, tag: "mine", cmd: "/bin/sh", args: ["-c", "echo $A > made; sleep 4713; true"] },
      { pid: made.body.pid, tag: made.body.tag, cmd: "sleep", args: ["4713"] },
    ]);
    expect(await capsule.sh("cat made")).toBe("1\n");
    expect(await capsule.exec(sh("true", { background: true, tag: "mine" }))).toMatchObject({ status: 409 });

    expect(await kill("mine", "?signal=SIGHUP")).toMatchObject({ status: 400 });
    expect(await kill("mine")).toMatchObject({ status: 204 });
    expect(await kill(made.body.pid, "?signal=SIGTERM")).toMatchObject({ status: 204 });
    await expect.poll(processes, soon).toEqual([]);
    expect(await running("sleep 4713")).toBe(0);
    for (const gone of ["mine", made.body.pid, 999_999, "none"]) expect((await kill(gone)).status).toBe(404);
    expect(await capsule.exec(sh("true", { background: true, tag: "mine" }))).toMatchObject({ status: 202 });
  });

  test("a tag of digits only is refused, since it would be a process id (R201)", async () => {
    expect(await capsule.exec(sh("true", { background: true, tag: "42" }))).toMatchObject({ status: 400 });
  });
});

describe("exec/stream", () => {
  const stream = (line: string) => capsule.open("exec/stream", { type: "start", ...sh(line) });

  test("tells output while the process runs, and its exit (R208, R209, R210, R218)", async () => {
    const socket = await stream(
      "echo one; echo two >&2; read x < gate; printf '\\342\\202'; sleep 0.1; printf '\\254'; exit 4",
    );
    await capsule.sh("mkfifo gate 2>/dev/null");
    await socket.says("stdout", "one\n");
    await socket.says("stderr", "two\n");
    expect(socket.messages[0]).toEqual({ type: "start", pid: expect.any(Number) });
    socket.close();
    const whole = await stream("printf '\\342\\202'; sleep 0.1; printf '\\254'; exit 4");
    expect(await whole.last()).toEqual({ type: "exit", exit_code: 4 });
    expect([whole.text("stdout"), whole.closed]).toEqual(["€", { code: 1000 }]);
  });

  test("stop ends the process, also one that ignores SIGTERM, and so does leaving (R211, R212, A43)", async () => {
    const kind = await stream("echo up; exec sleep 4714");
    await kind.says("stdout", "up");
    kind.send({ type: "stop" });
    expect(await kind.last()).toEqual({ type: "exit", exit_code: 143 });

    const stubborn = await stream("trap '' TERM; echo up; while :; do sleep 0.2; done");
    await stubborn.says("stdout", "up");
    const told = performance.now();
    stubborn.send({ type: "stop" });
    expect(await stubborn.last()).toEqual({ type: "exit", exit_code: 137 });
    expect(performance.now() - told).toBeGreaterThan(4_500);

    const left = await stream("echo up; sleep 4715; true");
    await left.says("stdout", "up");
    left.close();
    await expect.poll(() => running("sleep 4715"), soon).toBe(0);
  });

  test("ten megabytes come through whole", async () => {
    const socket = await stream("yes 123456789 | head -c 10000000");
    expect(await socket.last()).toEqual({ type: "exit", exit_code: 0 });
    expect(socket.text("stdout").length).toBe(10_000_000);
  });
});

describe("processes/{selector}/stream", () => {
  test("several follow one process by tag and id; leaving changes nothing (R213, R214, R215)", async () => {
    const script = "while [ ! -e go ]; do sleep 0.05; done; echo now; exit 5";
    const { pid } = (await capsule.exec(sh(script, { background: true, tag: "followed" }))).body;
    const [one, two, three] = await Promise.all(
      ["followed", pid, "followed"].map((selector) => capsule.open(`processes/${selector}/stream`)),
    );
    for (const socket of [one!, two!, three!])
      await socket.until("it has begun", ({ messages }) => messages.length > 0);
    one!.close();
    await capsule.sh("touch go");
    for (const socket of [two!, three!]) {
      expect(await socket.last()).toEqual({ type: "exit", exit_code: 5 });
      expect(socket.messages.slice(0, -1)).toEqual([
        { type: "start", pid },
        { type: "stdout", data: "now\n" },
      ]);
    }
  });

  test("a process that is not there is one error and a normal close (R216)", async () => {
    const socket = await capsule.open("processes/none/stream");
    expect(await socket.last()).toEqual({ type: "error", data: expect.any(String) });
    expect([socket.messages.length, socket.closed]).toEqual([1, { code: 1000 }]);
  });
});

test("H1 a host that dies is an error to those who follow, never an exit; the capsule is then lost", async () => {
  const socket = await capsule.open("exec/stream", { type: "start", ...sh("echo up; sleep 600") });
  await socket.says("stdout", "up");
  process.kill(capsule.product.agentPid, "SIGKILL");
  expect(await socket.last()).toEqual({ type: "error", data: expect.any(String) });
  expect(socket.messages.some(({ type }) => type === "exit")).toBe(false);
  expect([409, 503]).toContain((await capsule.exec(sh("true"))).status);
  // The agent is started again, and tidies up after the one that died.
  await expect.poll(async () => (await capsule.another()).status, { timeout: 30_000 }).toBe("running");
});
