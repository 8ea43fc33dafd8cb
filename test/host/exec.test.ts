import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { processesWith, TestAgent, type TestSandbox, until } from "#test/node/agent";
import { EVERY_WAY } from "#test/node/agent-ways";

/** The same commands in every way the agent can run them. */
describe.each(EVERY_WAY)("commands %s", (name, options) => {
  let agent: TestAgent;
  let sandbox: TestSandbox;

  beforeAll(async () => {
    agent = await TestAgent.start(options);
    sandbox = await agent.sandbox();
  });
  afterAll(() => agent?.stop());

  const isolated = name !== "without isolation";

  test("output, exit code and both streams come back", async () => {
    expect(await sandbox.exec("echo out; echo err >&2; exit 3")).toMatchObject({
      ...{ stdout: "out\n", stderr: "err\n", exitCode: 3, signal: null },
      ...{ encoding: "utf8", timedOut: false, truncated: false },
    });
  });

  test("outputs can be opened again by name", async () => {
    const { stdout, stderr } = await sandbox.exec(
      "echo out >/dev/stdout; echo err >/dev/stderr; echo both | tee /dev/stderr",
    );
    expect({ stdout, stderr }).toEqual({ stdout: "out\nboth\n", stderr: "err\nboth\n" });
  });

  test("a program that cannot be started ends as in a shell: 127 or 126, and a word on the error stream (A41)", async () => {
    await sandbox.write("plain", "no program");
    const ends = { stdout: "", exitCode: 127, stderr: "no-such-program: command not found\n" };
    expect(await sandbox.exec(["no-such-program", "x"])).toMatchObject(ends);
    const denied = { stdout: "", exitCode: 126, stderr: "./plain: Permission denied\n" };
    expect(await sandbox.exec(["./plain"])).toMatchObject(denied);
  });

  test("an argument vector reaches the program without a shell", async () => {
    expect((await sandbox.exec(["printf", "%s|", "a b", "$HOME", "*"])).stdout).toBe("a b|$HOME|*|");
  });

  test("the environment is the request's and nothing of the agent's", async () => {
    const { stdout } = await sandbox.exec("env", { env: { GREETING: "hello" } });
    const names = stdout.split("\n").map((line) => line.split("=")[0]);
    expect(names.filter(Boolean).sort()).toEqual(
      expect.arrayContaining(["GREETING", "HOME", "LANG", "LONGSHORE_EXEC", "PATH"]),
    );
    const extra = names.filter(
      (entry) => entry && !["GREETING", "HOME", "LANG", "LONGSHORE_EXEC", "PATH"].includes(entry),
    );
    expect(extra.filter((entry) => !["PWD", "OLDPWD", "_", "SHLVL"].includes(entry!))).toEqual([]);
  });

  test.for([
    ["a working directory that does not exist", { command: "true", cwd: "missing" }, 404, "directory_not_found"],
    ["a working directory above the root", { command: "true", cwd: "../.." }, 400, "invalid_path"],
    ["an empty command", { command: "" }, 400, "invalid"],
    ["an argument with a NUL byte", { command: ["echo", "a\0b"] }, 400, "invalid"],
    ["a variable's name with =", { command: "true", env: { "A=B": "c" } }, 400, "invalid"],
    ["a time limit of zero", { command: "true", timeoutMs: 0 }, 400, "invalid"],
  ] as const)("%s is refused", async ([, request, status, code]) => {
    const answer = await sandbox.json("POST", "/exec", { execId: "refused", ...request });
    expect(answer).toMatchObject({ status, body: { code } });
  });

  test("H4: at its time limit the whole tree is killed, escapees included", async () => {
    const mark = `8${Math.floor(Math.random() * 1e6)}.5`;
    const command = `
      (setsid sh -c 'sleep ${mark} & sleep ${mark}' >/dev/null 2>&1 &)
      (env -i setsid sh -c '(sleep ${mark} &) ; sleep ${mark}' >/dev/null 2>&1 &)
      sleep ${mark}`;
    const result = await sandbox.exec(command, { timeoutMs: 400 });
    expect(result).toMatchObject({ timedOut: true, exitCode: 137, signal: "SIGKILL" });
    expect(processesWith(`sleep\0${mark}`)).toEqual([]);
    if (!isolated) return;
    expect((await sandbox.exec("grep -l '^State:.Z' /proc/[0-9]*/status; true")).stdout).toBe("");
  });

  test("a command that waits for input gets none, and the next one is not held up", async () => {
    const startedAt = performance.now();
    expect((await sandbox.exec("cat")).exitCode).toBe(0);
    const stuck = sandbox.exec("sleep 60", { execId: "stuck" });
    expect((await sandbox.exec("echo next")).stdout).toBe("next\n");
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect((await sandbox.call("DELETE", "/exec/stuck")).status).toBe(204);
    expect(await stuck).toMatchObject({ exitCode: 137, timedOut: false });
  });

  test("text on standard input arrives whole", async () => {
    expect((await sandbox.exec("cat", { stdin: "línea\n".repeat(100_000) })).stdout).toHaveLength(600_000);
  });

  test("a child left behind does not hold up the answer, and lives on", async () => {
    const startedAt = performance.now();
    expect((await sandbox.exec("sleep 30.25 & echo started")).stdout).toBe("started\n");
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(processesWith("sleep\x0030.25")).toHaveLength(1);
    await sandbox.exec("kill $(pgrep -f 'sleep 30.2[5]')");
  });

  test("H4: output beyond the limit is dropped and reported, between characters", async () => {
    const result = await sandbox.exec("yes é | head -c 100000", { outputLimit: 1000 });
    expect(result).toMatchObject({ truncated: true, encoding: "utf8", exitCode: 0 });
    expect(result.stdout).toMatch(/^(é\n)+é?$/);
    expect(Buffer.byteLength(result.stdout)).toBeGreaterThan(990);
  });

  test("large output streams through whole", async () => {
    const { stdout, truncated } = await sandbox.exec("head -c 9000000 /dev/zero | tr '\\0' a");
    expect({ length: stdout.length, truncated }).toEqual({ length: 9_000_000, truncated: false });
  });

  test("bytes that are no text come back as base64, on both streams", async () => {
    const result = await sandbox.exec("printf '\\377\\000\\001'; echo plain >&2");
    expect(result.encoding).toBe("base64");
    expect([...Buffer.from(result.stdout, "base64")]).toEqual([255, 0, 1]);
    expect(Buffer.from(result.stderr, "base64").toString()).toBe("plain\n");
  });

  test("a signal shows as 128 and its number", async () => {
    expect(await sandbox.exec("kill -TERM $$")).toMatchObject({ exitCode: 143, signal: "SIGTERM" });
  });

  test("R3: the same execId cannot run twice at once, and can be used again", async () => {
    const first = sandbox.exec("touch running; sleep 0.4; echo done", { execId: "same" });
    await until("the first is running", async () => (await sandbox.call("GET", "/files/stat?path=running")).ok);
    const again = await sandbox.json("POST", "/exec", { execId: "same", command: "true" });
    expect(again).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect((await first).stdout).toBe("done\n");
    expect((await sandbox.exec("echo again", { execId: "same" })).stdout).toBe("again\n");
  });

  test("killing a command that is not known is 404", async () => {
    expect((await sandbox.json("DELETE", "/exec/nobody")).body.code).toBe("exec_not_found");
  });

  test("R7: a command that is killed before it starts does not start", async () => {
    expect((await sandbox.call("DELETE", "/exec/early")).status).toBe(404);
    const late = await sandbox.json("POST", "/exec", { execId: "early", command: "touch ran-early" });
    expect(late).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect((await sandbox.call("GET", "/files/stat?path=ran-early")).status).toBe(404);
  });

  test("R7: a kill that races its command's start leaves nothing running", async () => {
    const mark = `9${Math.floor(Math.random() * 1e6)}.5`;
    const ends = Array.from({ length: 20 }, async (_, index) => {
      const run = sandbox.json("POST", "/exec", { execId: `race-${index}`, command: `sleep ${mark}` });
      const kill = await sandbox.call("DELETE", `/exec/race-${index}`);
      return [kill.status, (await run).status];
    });
    for (const end of await Promise.all(ends)) expect([`204,200`, `404,409`]).toContain(end.join());
    expect(processesWith(`sleep\0${mark}`)).toEqual([]);
  });

  test("R7: closing the request kills the command", async () => {
    const mark = `7${Math.floor(Math.random() * 1e6)}.5`;
    const leave = new AbortController();
    const body = JSON.stringify({ execId: "left", command: `sleep ${mark}; true` });
    const call = sandbox.call("POST", "/exec", body, leave.signal).catch((error) => error.name);
    await until("it runs", () => processesWith(`sleep\0${mark}`).length === 1);
    leave.abort();
    expect(await call).toBe("AbortError");
    await until("it is dead", () => processesWith(`sleep\0${mark}`).length === 0, 2000);
  });
});
