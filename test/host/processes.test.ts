import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ProcessList } from "#protocol/supervisor";
import { processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { EVERY_WAY } from "#test/node/agent-ways";
import { ProcessStream, startProcess } from "#test/node/process-stream";

const uniqueSleep = () => `sleep ${3 + Math.floor(Math.random() * 6)}${Math.floor(Math.random() * 1e6)}.5`;
const running = (line: string) => processesWith(line.replace(" ", "\0")).length;

describe.each(EVERY_WAY)("processes %s", (_name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox();
  });
  afterAll(() => agent?.stop());

  const start = (request: Parameters<typeof startProcess>[1]) => startProcess(sandbox, request);
  const attach = (selector: string | number, query = "") => ProcessStream.attach(sandbox, selector, query);
  const kill = (selector: string | number, query = "") => sandbox.call("DELETE", `/processes/${selector}${query}`);
  const list = async () => ProcessList.parse((await sandbox.json("GET", "/processes")).body).processes;

  test("one is started at once, outlives its request, is listed and then killed (R188, R195, R196, R197)", async () => {
    const line = uniqueSleep();
    const { pid, tag } = await start({ tag: "worker", command: line.split(" ") });
    expect(tag).toBe("worker");
    expect(await list()).toMatchObject([{ pid, tag, command: "sleep", args: [line.split(" ")[1]], tty: false }]);
    expect(running(line)).toBe(1);
    expect((await kill("worker")).status).toBe(204);
    expect(running(line)).toBe(0);
    expect(await list()).toEqual([]);
    expect((await sandbox.json("DELETE", "/processes/worker")).body.code).toBe("process_not_found");
    expect((await sandbox.json("DELETE", "/processes/nobody")).status).toBe(404);
  });

  test("without a tag one is made up; a live one's is refused, a past one's is free (R189, R202)", async () => {
    const { tag, pid } = await start({ command: "sleep 60" });
    expect(tag).toMatch(/^proc-[0-9a-f]{8}$/);
    const again = await sandbox.json("POST", "/processes", { tag, command: "true" });
    expect(again).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect((await kill(pid)).status).toBe(204);
    const next = await start({ tag, command: "sleep 60" });
    expect(next.pid).not.toBe(pid);
    await kill(tag);
  });

  test("two that start at once with one tag are one (R202)", async () => {
    const both = await Promise.all(
      [1, 2].map(() => sandbox.json("POST", "/processes", { tag: "twin", command: "sleep 60" })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    await kill("twin");
  });

  test.for(["123", ".", "..", "", "x".repeat(129), "a\u0000b", "line\nbreak"])(
    "the tag %j is refused (R201)",
    async (tag) => {
      const answer = await sandbox.json("POST", "/processes", { tag, command: "true" });
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid" } });
    },
  );

  test.for(["a/b", "a b", "ünï¢ødé 🚢", "..x", "%2e%2e", "a?b#c", "stream", "x".repeat(128), "7a", "\\", "a\u2028b"])(
    "the tag %j works as a selector",
    async (tag) => {
      await start({ tag, command: "echo hi; sleep 60" });
      const stream = await attach(tag);
      await stream.until("output", () => stream.text() === "hi\n");
      expect((await kill(encodeURIComponent(tag))).status).toBe(204);
      expect((await stream.whole()).exit).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
    },
  );

  test.for([
    [{ command: "true", cwd: "missing" }, 404, "directory_not_found"],
    [{ command: "true", cwd: "../.." }, 400, "invalid_path"],
    [{ command: "" }, 400, "invalid"],
    [{}, 400, "invalid"],
    [{ command: ["a\u0000"] }, 400, "invalid"],
    [{ command: "true", env: { "A=B": "c" } }, 400, "invalid"],
    [{ command: "true", keep: 5 * 1024 * 1024 }, 400, "invalid"],
    [{ command: "true", stdin: "yes" }, 400, "invalid"],
    [{ tty: { cols: 0, rows: 1 } }, 400, "invalid"],
    [{ command: "true", user: "somebody-else" }, 501, "not_supported"],
  ] as const)("%j is refused (R192)", async ([request, status, code]) => {
    expect(await sandbox.json("POST", "/processes", request)).toMatchObject({ status, body: { code } });
    expect(await list()).toEqual([]);
  });

  test("environment and directory are the request's own, arguments are not interpreted (R190, R193, R194)", async () => {
    await sandbox.exec("mkdir -p sub");
    const one = await start({
      command: ["/bin/sh", "-c", 'pwd; echo "$A-$B|$1"', "sh", "$HOME;*"],
      cwd: "sub",
      env: { A: "1" },
    });
    expect((await (await attach(one.tag)).whole()).text()).toMatch(/\/sub\n1-\|\$HOME;\*\n$/);
    const two = await start({ command: 'pwd; echo "$A-$B"', env: { B: "2" } });
    expect((await (await attach(two.tag)).whole()).text()).toMatch(/(?<!sub)\n-2\n$/);
  });

  test.for([
    ["no-such-program", 127, "no-such-program: command not found\n"],
    ["./missing", 127, "./missing: No such file or directory\n"],
    ["./plain", 126, "./plain: Permission denied\n"],
    ["./folder", 126, "./folder: Is a directory\n"],
    ["x".repeat(5000), 127, `${"x".repeat(5000)}: command not found\n`],
  ] as const)(
    "%s cannot be started: exit code %d and a word on the error stream (A41)",
    async ([program, code, text]) => {
      await sandbox.exec("touch plain; mkdir -p folder");
      const { tag } = await start({ command: [program, "x"] });
      const stream = await (await attach(tag)).whole();
      expect(stream.exit).toEqual({ type: "exit", exitCode: code, signal: null });
      expect([stream.text("stdout"), stream.text("stderr")]).toEqual(["", text]);
    },
  );

  test("SIGTERM reaches the whole tree, and another signal is refused (R199)", async () => {
    const line = uniqueSleep();
    const script = `trap 'echo bye; exit 5' TERM; (setsid ${line} &); echo up; while :; do sleep 0.02; done`;
    const { tag } = await start({ command: script });
    const stream = await (await attach(tag)).until("it is up", (it) => it.text() === "up\n");
    expect((await sandbox.json("DELETE", `/processes/${tag}?signal=SIGHUP`)).body.code).toBe("invalid");
    expect((await kill(tag, "?signal=SIGTERM")).status).toBe(204);
    expect((await stream.whole()).exit).toMatchObject({ exitCode: 5, signal: null });
    expect(stream.text("stdout")).toBe("up\nbye\n");
    await until("its child is gone", () => running(line) === 0);
  });

  test("a kill takes those that left the group, the session and the environment behind (R199)", async () => {
    const line = uniqueSleep();
    const { tag, pid } = await start({ command: `(env -i setsid sh -c '(${line} &) ; ${line}' &) ; ${line}` });
    await until("all run", () => running(line) === 3);
    expect((await kill(pid)).status).toBe(204);
    expect(running(line)).toBe(0);
    expect((await (await attach(tag)).whole()).exit).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  test("output streams are apart, in order, and told as they come (R209, R210, R213)", async () => {
    const { pid } = await start({ command: "echo a; echo b >&2; read x < wait; echo c; exit 3", tag: "order" });
    await sandbox.exec("[ -p wait ] || mkfifo wait");
    await kill("order");
    const gated = await start({ command: "echo a; echo b >&2; read x < wait; echo c; exit 3", tag: "order" });
    expect(gated.pid).not.toBe(pid);
    const stream = await attach(gated.pid);
    await stream.until("the first two", (it) => it.text("stdout") === "a\n" && it.text("stderr") === "b\n");
    expect(stream.start).toEqual({ type: "start", pid: gated.pid, tag: "order", offset: 0 });
    await sandbox.exec("echo go > wait");
    expect((await stream.whole()).exit).toEqual({ type: "exit", exitCode: 3, signal: null });
    expect(stream.text("stdout")).toBe("a\nc\n");
  });

  test("readers come and go without changing anything; one that comes back misses nothing (R214, R215)", async () => {
    const { tag } = await start({ command: "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; sleep 0.002; done" });
    const expected = Array.from({ length: 400 }, (_, index) => `${index + 1}\n`).join("");
    const constant = await attach(tag);
    let text = "";
    for (let last = false; !last; ) {
      const visit = await attach(tag, `?after=${text.length}`);
      await visit.until("something", (it) => it.bytes().length > 0 || it.exit !== undefined);
      last = visit.exit !== undefined;
      visit.leave();
      await visit.ended;
      text += visit.text();
    }
    expect((await constant.whole()).text()).toBe(expected);
    expect(text).toBe(expected);
  });

  test("where a stream begins can be chosen; what cannot be known is refused", async () => {
    const { tag } = await start({ command: "printf 0123456789; exec sleep 60" });
    const all = await attach(tag);
    await all.until("the output", (it) => it.text().length === 10);
    const at = async (after: string) => {
      const stream = await attach(tag, `?after=${after}`);
      await stream.until("the start", (it) => it.start !== undefined);
      return { stream, offset: stream.start?.offset };
    };
    const now = await at("now");
    expect([now.offset, (await at("4")).offset, (await at("-3")).offset, (await at("-99")).offset]).toEqual([
      10, 4, 7, 0,
    ]);
    for (const after of ["11", "x", "1e3", "--1"]) {
      expect((await sandbox.json("GET", `/processes/${tag}/stream?after=${after}`)).body.code).toBe("invalid");
    }
    expect((await sandbox.json("GET", "/processes/nobody/stream")).body.code).toBe("process_not_found");
    await kill(tag);
    expect((await now.stream.whole()).text()).toBe("");
  });

  test("bytes that are no text pass unchanged; what fell out is told as a gap (R218)", async () => {
    const { tag } = await start({ command: "head -c 300000 /dev/zero | tr '\\0' '\\377'; printf end", keep: 4096 });
    await until("it has ended", async () => (await list()).every((process) => process.tag !== tag));
    const stream = await (await attach(tag, "?after=0")).whole();
    expect(stream.lines[1]).toEqual({ type: "gap", from: 0, to: 300_003 - 4096 });
    const bytes = stream.bytes();
    expect([bytes.length, bytes[0], bytes.subarray(-3).toString()]).toEqual([4096, 255, "end"]);
    const rest = await (await attach(tag)).whole();
    expect([rest.start?.offset, rest.bytes().equals(bytes)]).toEqual([300_003 - 4096, true]);
  });

  test("a reader that does not read holds up neither the process nor another reader", async () => {
    const { tag } = await start({ command: "yes 0123456789abcdef | head -c 40000000; echo done >&2" });
    const leave = new AbortController();
    const stuck = await sandbox.call("GET", `/processes/${tag}/stream`, undefined, leave.signal);
    const reader = await attach(tag);
    await reader.whole();
    expect(reader.text("stderr")).toBe("done\n");
    expect((await sandbox.exec("echo fine")).stdout).toBe("fine\n");
    expect(stuck.bodyUsed).toBe(false);
    leave.abort();
  });

  test("an owned stream ends with its process, and its process with it (R208, R210, R212, R217)", async () => {
    const done = await (await ProcessStream.own(sandbox, { command: "echo out; echo err >&2; exit 7" })).whole();
    expect(done.lines[0]).toMatchObject({ type: "start", offset: 0 });
    expect([done.text("stdout"), done.text("stderr"), done.exit?.exitCode]).toEqual(["out\n", "err\n", 7]);
    const line = uniqueSleep();
    const left = await ProcessStream.own(sandbox, { command: `(setsid ${line} &) ; ${line}`, tag: "owned" });
    await until("both run", () => running(line) === 2);
    const watcher = await attach("owned");
    await watcher.until("it is attached", (it) => it.start !== undefined);
    left.leave();
    expect((await watcher.whole()).exit).toMatchObject({ signal: "SIGKILL" });
    await until("both are dead", () => running(line) === 0, 2000);
    expect(await list()).toEqual([]);
  });

  test("the owner of a stream loses nothing, however slowly it reads (R209)", async () => {
    const leave = new AbortController();
    const body = JSON.stringify({ command: "seq 1 600000; echo end >&2", keep: 65_536 });
    const response = await sandbox.call("POST", "/processes?owned=stream", body, leave.signal);
    const reader = response.body!.getReader();
    await reader.read();
    await sleep(300);
    let pending = "";
    const found = { numbers: "", exit: false, gaps: 0 };
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const lines = (pending + Buffer.from(piece.value).toString("latin1")).split("\n");
      pending = lines.pop() ?? "";
      for (const text of lines) {
        const line = JSON.parse(text);
        if (line.type === "gap") found.gaps += 1;
        if (line.type === "exit") found.exit = true;
        if (line.stream === "stdout") found.numbers = (found.numbers + Buffer.from(line.data, "base64")).slice(-14);
      }
    }
    expect(found).toEqual({ numbers: "599999\n600000\n", exit: true, gaps: 0 });
  });

  test("input arrives in order and can be ended; a process without input refuses it", async () => {
    const { tag } = await start({ command: "cat; echo over", stdin: "pipe", keep: 2_000_000 });
    const stream = await attach(tag);
    const input = (bytes: string | Buffer<ArrayBuffer>) => sandbox.call("POST", `/processes/${tag}/input`, bytes);
    for (let index = 0; index < 20; index++) expect((await input(`${index},`)).status).toBe(204);
    const raw = Buffer.from([0, 255, 254, 10, 13]);
    expect((await input(raw)).status).toBe(204);
    const big = Buffer.alloc(1_000_000, "x");
    expect((await input(big)).status).toBe(204);
    expect((await sandbox.call("DELETE", `/processes/${tag}/input`)).status).toBe(204);
    await stream.whole();
    const expected = Buffer.concat([
      Buffer.from(Array.from({ length: 20 }, (_, i) => `${i},`).join("")),
      raw,
      big,
      Buffer.from("over\n"),
    ]);
    expect(stream.bytes().equals(expected)).toBe(true);
    expect((await sandbox.json("POST", `/processes/${tag}/input`, "x")).body.code).toBe("process_not_found");
    const deaf = await start({ command: "sleep 60" });
    expect((await sandbox.json("POST", `/processes/${deaf.tag}/input`, "x")).body.code).toBe("conflict");
    expect((await sandbox.json("POST", `/processes/${deaf.tag}/resize`, { cols: 1, rows: 1 })).body.code).toBe(
      "conflict",
    );
    await kill(deaf.tag);
  });

  test("a process that never reads its input is refused more of it than can wait", async () => {
    const { tag } = await start({ command: "sleep 60", stdin: "pipe" });
    const send = (size: number) => sandbox.json("POST", `/processes/${tag}/input`, Buffer.alloc(size));
    expect((await send(5_000_000)).body.code).toBe("too_large");
    const answers: number[] = [];
    const sent = [1, 2, 3].map(() =>
      sandbox
        .call("POST", `/processes/${tag}/input`, Buffer.alloc(3_900_000))
        .then(({ status }) => answers.push(status)),
    );
    await until("one is refused", () => answers.length === 1);
    expect(answers).toEqual([409]);
    expect((await kill(tag)).status).toBe(204);
    await Promise.all(sent);
    expect(answers).toEqual([409, 204, 204]);
  });
});
