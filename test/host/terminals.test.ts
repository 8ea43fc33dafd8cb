import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProcessRequest } from "#protocol/supervisor";
import { processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { EVERY_WAY } from "#test/node/agent-ways";
import { ProcessStream, startProcess } from "#test/node/process-stream";

describe.each(EVERY_WAY)("terminals %s", (name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox();
  });
  afterAll(() => agent?.stop());

  const isolated = name !== "without isolation";
  const size = { cols: 100, rows: 30 };

  /** Opens a terminal with one viewer. */
  async function open(request: ProcessRequest = {}) {
    const { tag, pid } = await startProcess(sandbox, { tty: size, ...request });
    const view = await ProcessStream.attach(sandbox, tag);
    const type = async (text: string | Buffer<ArrayBuffer>) => {
      const { status } = await sandbox.call("POST", `/processes/${tag}/input`, text);
      if (status !== 204) throw new Error(`input answered ${status}`);
    };
    const resize = (cols: number, rows: number) => sandbox.json("POST", `/processes/${tag}/resize`, { cols, rows });
    const kill = () => sandbox.call("DELETE", `/processes/${tag}`);
    const shows = (text: string | RegExp) =>
      view.until(`it shows ${text}`, () =>
        typeof text === "string" ? view.text().includes(text) : text.test(view.text()),
      );
    return { tag, pid, view, type, resize, kill, shows };
  }

  test("without a command it is a shell in a terminal of the size asked for (R222, R223, R224)", async () => {
    const { tag, pid, view, type, shows } = await open({ env: { PS1: "> ", GREETING: "hi" } });
    expect(tag).toMatch(/^pty-[0-9a-f]{8}$/);
    await type("tty; stty size; echo $TERM $GREETING $0-$$; pwd; exit 4\n");
    await shows("/dev/pts/");
    expect((await view.whole()).exit).toEqual({ type: "exit", exitCode: 4, signal: null });
    const text = view.text();
    expect(text).toContain("\r\n30 100\r\n");
    expect(text).toContain(`\r\nxterm-256color hi /bin/bash-${pid}\r\n`);
    if (isolated) expect(text).toContain("\r\n/workspace\r\n");
  });

  test("command, directory and environment are honoured, and only the sandbox's own user (R224)", async () => {
    await sandbox.exec("mkdir -p deep");
    const { view } = await open({
      command: ["/bin/sh", "-c", 'pwd; echo "$A $TERM"'],
      cwd: "deep",
      env: { A: "b", TERM: "dumb" },
    });
    expect((await view.whole()).text()).toMatch(/\/deep\r\nb dumb\r\n$/);
    const me = (await sandbox.exec("id -un")).stdout.trim();
    if (isolated) expect(me).toBe("sandbox");
    for (const user of [me, (await sandbox.exec("id -u")).stdout.trim()]) {
      const own = await open({ command: ["id", "-un"], user });
      expect((await own.view.whole()).text()).toBe(`${me}\r\n`);
    }
    const other = await sandbox.json("POST", "/processes", { tty: size, user: "somebody" });
    expect(other).toMatchObject({ status: 501, body: { code: "not_supported" } });
  });

  test("bytes pass raw both ways, control bytes too (R225)", async () => {
    const { view, type, shows, kill } = await open({ command: "stty raw -echo; echo ready; exec cat" });
    await shows("ready");
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await type(all);
    await view.until("all came back", () => view.bytes().length >= "ready\n".length + 256);
    expect(view.bytes().subarray(-256).equals(all)).toBe(true);
    await kill();
    expect((await view.whole()).exit).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  test("a character that is typed in halves is whole", async () => {
    const { view, type, shows, kill } = await open({
      command: "stty -echo; echo ready; read x; echo got=$x; sleep 60",
    });
    await shows("ready");
    const ship = Buffer.from("🚢\n");
    await type(ship.subarray(0, 2));
    await type(ship.subarray(2));
    await shows("got=🚢\r\n");
    await kill();
    await view.whole();
  });

  test("a new size is seen inside, with its signal; the last one wins (R226, R227, R238)", async () => {
    const script = `trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done`;
    const { shows, resize, kill } = await open({ command: ["/bin/sh", "-c", script] });
    await shows("30 100\r\n");
    expect((await sandbox.call("POST", "/processes/nobody/resize", '{"cols":1,"rows":1}')).status).toBe(404);
    for (const [cols, rows] of [
      [0, 10],
      [10, 0],
      [65_536, 1],
      [1.5, 1],
    ] as const) {
      expect((await resize(cols, rows)).body.code).toBe("invalid");
    }
    await resize(90, 20).catch(() => {});
    await resize(132, 43).catch(() => {});
    await shows("43 132\r\n");
    await kill();
  });

  test("job control works: interrupting, stopping and going on", async () => {
    const { view, type, shows, kill } = await open({ command: ["bash", "--norc", "-i"], env: { PS1: "$ " } });
    await shows("$ ");
    await type("sleep 61.5 && echo never\n");
    await until("it runs", () => processesWith("sleep\x0061.5").length === 1);
    await type("\x03");
    await type("echo after=$?\n");
    await shows("after=130\r\n");
    await type("sleep 62.5\n");
    await until("it runs", () => processesWith("sleep\x0062.5").length === 1);
    await type("\x1a");
    await shows("Stopped");
    await type("jobs; bg; kill %1; wait; echo over\n");
    await shows(/\nover\r\n/);
    expect(view.text()).not.toMatch(/job control|cannot set terminal/);
    await type("\x04");
    expect((await view.whole()).exit).toMatchObject({ signal: null });
    expect((await kill()).status).toBe(404);
  });

  test("a kill takes the whole session, also what left it (R228)", async () => {
    const mark = `6${Math.floor(Math.random() * 1e6)}.5`;
    const { view, type, shows, kill } = await open({ command: ["bash", "--norc", "-i"], env: { PS1: "$ " } });
    await shows("$ ");
    await type(`sleep ${mark} & (env -i setsid sleep ${mark} &) ; nohup sleep ${mark}\n`);
    await until("all run", () => processesWith(`sleep\0${mark}`).length === 3);
    expect((await kill()).status).toBe(204);
    expect(processesWith(`sleep\0${mark}`)).toEqual([]);
    expect((await view.whole()).exit).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  test("output is whole to its last byte, however fast the end comes", async () => {
    const expected = Array.from({ length: 3000 }, (_, index) => `${index + 1}\r\n`).join("");
    for (let round = 0; round < 40; round++) {
      const { view } = await open({ command: "seq 1 3000; exit 7" });
      expect((await view.whole()).text()).toBe(expected);
      expect(view.exit?.exitCode).toBe(7);
    }
  });

  test("viewers come and go, all type, and one that comes back reads on (R230, R231, R237, R238)", async () => {
    const { tag, view, type, shows, kill } = await open({ command: ["/bin/sh"], env: { PS1: "> " } });
    // What is typed shows too, but not like this.
    await type("echo o''ne\n");
    await shows("one\r\n");
    const seen = view.bytes().length;
    view.leave();
    await view.ended;
    await type("echo t''wo\n");
    const back = await ProcessStream.attach(sandbox, tag, `?after=${seen}`);
    const late = await ProcessStream.attach(sandbox, tag, "?after=-65536");
    for (const viewer of [back, late]) await viewer.until("two", () => viewer.text().includes("two\r\n"));
    expect(late.bytes().subarray(0, seen).equals(view.bytes().subarray(0, seen))).toBe(true);
    await kill();
    expect(
      late
        .bytes()
        .subarray(seen)
        .equals((await back.whole()).bytes()),
    ).toBe(true);
  });

  test("a terminal that does not read holds up nothing, and can still be killed", async () => {
    const { tag, type, kill, view, shows } = await open({ command: "stty raw -echo; echo ready; exec sleep 60" });
    await shows("ready");
    await type(Buffer.alloc(200_000, "x"));
    const waiting = sandbox.call("POST", `/processes/${tag}/input`, Buffer.alloc(1_000_000, "y"));
    const startedAt = performance.now();
    for (let index = 0; index < 10; index++) expect((await sandbox.exec("echo fine")).stdout).toBe("fine\n");
    expect(performance.now() - startedAt).toBeLessThan(3000);
    expect((await sandbox.json("DELETE", `/processes/${tag}/input`)).body.code).toBe("conflict");
    expect((await kill()).status).toBe(204);
    expect([204, 404]).toContain((await waiting).status);
    await view.whole();
  });

  test("a large paste arrives whole", async () => {
    const { type, shows, view } = await open({ command: "stty raw -echo; echo ready; head -c 2000000 | cksum" });
    await shows("ready");
    const paste = Buffer.alloc(2_000_000);
    for (let at = 0; at < paste.length; at += 4) paste.writeUInt32LE(at, at);
    await type(paste);
    await sandbox.write("paste", paste);
    const { stdout } = await sandbox.exec("cksum < paste");
    expect((await view.whole()).text()).toContain(stdout.trim());
  });

  test("no descriptor of a terminal leaks into another, nor into a command", async () => {
    const one = await open({ command: "sleep 60" });
    const list = "ls -l /proc/self/fd";
    const other = await (await open({ command: list })).view.whole();
    const texts = [other.text(), (await sandbox.exec(list)).stdout];
    for (const text of texts) expect(text).not.toMatch(/ptmx/);
    const environment = (
      await sandbox.exec(["env"], { env: { BASH_ENV: "/nonexistent", "BASH_FUNC_x%%": "() { :; }" } })
    ).stdout;
    expect(environment).toContain("BASH_ENV=/nonexistent");
    await one.kill();
    expect((await sandbox.exec(["printf", "%s", "a\nb"])).stdout).toBe("a\nb");
  });

  test("a process that lets go of its terminal for a while keeps it", async () => {
    const script = "exec 3<&0 4>&1; echo one; exec </dev/null >/dev/null 2>&1 3>&- 4>&-; sleep 0.2; echo two >/dev/tty";
    const { view } = await open({ command: script });
    expect((await view.whole()).text()).toBe("one\r\ntwo\r\n");
  });
});
