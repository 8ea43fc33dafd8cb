import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { newId } from "#kernel/id";
import { type Capsule, capsuleOnAgent } from "#test/worker/agent-capsule";
import { auditOf, eventually, rowOf } from "#test/worker/control";
import { supervisorRefusal } from "#test/worker/fake-agent";
import { FakeProcess, inside } from "#test/worker/fake-process";
import { type Tenant, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";
import { openSocket, type TestSocket, upgrade } from "#test/worker/sockets";

let t: Tenant;
let capsule: Capsule;
let process: FakeProcess;
let asked: unknown[];
const path = (rest = "exec/stream", id = capsule.id) => `/v1/capsules/${id}/${rest}`;
const key = () => ({ "x-api-key": t.key });
const CONNECT = "processes/proc-1/stream";

beforeEach(async () => {
  t = await tenant();
  capsule = await capsuleOnAgent(t.teamId);
  process = new FakeProcess();
  asked = [];
  inside(capsule.agent, {
    "POST /processes": async (request, query) => {
      asked.push([query.get("owned"), await request.json()]);
      return process.response;
    },
    "GET /processes/proc-1/stream": (_, query) => {
      asked.push(query.get("after"));
      return process.response;
    },
    "DELETE /processes/proc-1": (_, query) => {
      asked.push(query.get("signal"));
      return new Response(null, { status: 204 });
    },
  });
});

const started = async (): Promise<TestSocket> => {
  const socket = await openSocket(path(), key());
  socket.send({ type: "start", cmd: "tail", args: ["-f", "x"] });
  await socket.the("start");
  return socket;
};

describe("exec/stream", () => {
  test("starts, tells both outputs as they come, and closes after the exit (R205, R208, R209, R210)", async () => {
    const socket = await started();
    expect(asked).toEqual([["stream", { command: ["tail", "-f", "x"] }]]);
    process.say("stdout", "one\n");
    await socket.the("stdout");
    process.say("stderr", "two\n");
    process.say("stdout", "three\n");
    await socket.until(({ messages }) => messages.length === 4);
    expect(socket.closed).toBeUndefined();
    process.exit(3);
    expect(await socket.whole()).toEqual([
      { type: "start", pid: 42 },
      { type: "stdout", data: "one\n" },
      { type: "stderr", data: "two\n" },
      { type: "stdout", data: "three\n" },
      { type: "exit", exit_code: 3 },
    ]);
    expect(socket.closed).toEqual({ code: 1000, reason: "" });
  });

  test.for([
    "not json",
    "{}",
    "[]",
    '{"type":"stop"}',
    '{"type":"start"}',
    '{"type":"start","cmd":""}',
    '{"type":"start","cmd":7}',
  ])("a first message %s is an error, and the end (R207)", async (text) => {
    const socket = await openSocket(path(), key());
    socket.send(text);
    expect(await socket.whole()).toEqual([{ type: "error", data: expect.stringContaining("start") }]);
    expect(asked).toEqual([]);
  });

  test("stop ends the process: SIGTERM first, SIGKILL after five seconds (R211, A43)", async () => {
    const timers = ["setTimeout", "clearTimeout"] as const;
    const socket = await started();
    vi.useFakeTimers({ toFake: [...timers] });
    socket.send({ type: "stop" });
    socket.send({ type: "stop" });
    await vi.waitFor(() => expect(asked.slice(1)).toEqual(["SIGTERM"]));
    await vi.advanceTimersByTimeAsync(4_900);
    expect(asked.slice(1)).toEqual(["SIGTERM"]);
    await vi.advanceTimersByTimeAsync(200);
    await vi.waitFor(() => expect(asked.slice(1)).toEqual(["SIGTERM", "SIGKILL"]));
    vi.useRealTimers();
    process.exit(137, "SIGKILL");
    expect((await socket.whole()).at(-1)).toEqual({ type: "exit", exit_code: 137 });
  });

  test("a client that leaves ends the process (R212)", async () => {
    const socket = await started();
    socket.socket.close(1000);
    await eventually(() => expect(process.left).toBe(true));
  });

  test("a connection to the host that is lost is an error, never an exit", async () => {
    const socket = await started();
    process.say("stdout", "half");
    process.lose();
    const messages = await socket.whole();
    expect(messages.at(-1)).toEqual({ type: "error", data: "the connection to the process was lost" });
    expect(messages.some(({ type }) => type === "exit")).toBe(false);
  });

  test("a character that comes in halves is whole, and what is no text is replaced (R218)", async () => {
    const socket = await started();
    const euro = new TextEncoder().encode("€");
    process.say("stdout", euro.slice(0, 1));
    process.say("stderr", euro.slice(0, 2));
    process.say("stdout", euro.slice(1));
    process.say("stdout", Uint8Array.of(0xff, 0x41));
    process.exit();
    expect((await socket.whole()).slice(1, -1)).toEqual([
      { type: "stdout", data: "€" },
      { type: "stdout", data: "\ufffdA" },
      { type: "stderr", data: "\ufffd" },
    ]);
  });

  test("messages of other types are ignored (R219)", async () => {
    const socket = await started();
    for (const text of ["x", '{"type":"other"}', "null", '{"type":"start","cmd":"again"}']) socket.send(text);
    socket.socket.send(Uint8Array.of(1, 2, 3));
    process.exit();
    expect((await socket.whole()).map(({ type }) => type)).toEqual(["start", "exit"]);
    expect(asked).toHaveLength(1);
  });

  test("a message over 4 MiB closes the socket with 1009, and one below does not (R219, S5)", async () => {
    const socket = await started();
    socket.send("x".repeat(4 * 1024 * 1024));
    process.say("stdout", "still there");
    await socket.the("stdout");
    socket.send("é".repeat(2 * 1024 * 1024 + 1));
    await socket.whole();
    expect(socket.closed?.code).toBe(1009);
    await eventually(() => expect(process.left).toBe(true));
  });

  test("a flood of messages closes the socket with 1008 (S5)", async () => {
    const socket = await started();
    for (let i = 0; i < 1_500 && !socket.closed; i++) socket.send("{}");
    await socket.whole();
    expect(socket.closed?.code).toBe(1008);
  });

  test("a program that may not be started is an error", async () => {
    inside(capsule.agent, { "POST /processes": () => supervisorRefusal("directory_not_found") });
    const socket = await openSocket(path(), key());
    socket.send({ type: "start", cmd: "pwd", cwd: "nowhere" });
    expect(await socket.whole()).toEqual([{ type: "error", data: "directory_not_found" }]);
  });
});

describe("a client that is slow", () => {
  let unsent = 0;
  beforeEach(() => {
    unsent = 0;
    Object.defineProperty(WebSocket.prototype, "bufferedAmount", { configurable: true, get: () => unsent });
    return () => Reflect.deleteProperty(WebSocket.prototype, "bufferedAmount");
  });

  test("is sent no more than it takes: its process's stream is not read meanwhile (S3, S5)", async () => {
    const socket = await started();
    unsent = 2 * 1024 * 1024;
    for (let i = 0; i < 100; i++) process.say("stdout", "x".repeat(40_000));
    process.exit();
    await socket.the("stdout");
    const { unread } = process;
    expect(unread).toBeGreaterThan(90);
    await eventually(() => expect(socket.messages.length).toBeLessThan(10));
    expect(process.unread).toBe(unread);
    unsent = 0;
    expect((await socket.whole()).length).toBe(102);
  });
});

describe("processes/{selector}/stream", () => {
  test("tells of the process from now on, until it exits (R213, R214)", async () => {
    const socket = await openSocket(path(CONNECT), key());
    await socket.the("start");
    expect(asked).toEqual(["now"]);
    process.say("stdout", "new");
    process.exit(0);
    expect(await socket.whole()).toEqual([
      { type: "start", pid: 42 },
      { type: "stdout", data: "new" },
      { type: "exit", exit_code: 0 },
    ]);
  });

  test("closing it leaves the process alone, whatever its client said (R215)", async () => {
    const socket = await openSocket(path(CONNECT), key());
    await socket.the("start");
    socket.send({ type: "stop" });
    socket.socket.close(1000);
    await eventually(() => expect(process.left).toBe(true));
    expect(asked).toEqual(["now"]);
  });

  test("a process that is not there upgrades, and is one error (R216, A42)", async () => {
    inside(capsule.agent, { "GET /processes/none/stream": () => supervisorRefusal("process_not_found") });
    const socket = await openSocket(path("processes/none/stream"), key());
    expect(await socket.whole()).toEqual([{ type: "error", data: "process_not_found" }]);
    expect(socket.closed?.code).toBe(1000);
  });

  test("output that was left out for a slow client is told", async () => {
    const socket = await openSocket(path(CONNECT), key());
    process.tell({ type: "gap", from: 0, to: 500 });
    process.say("stdout", "rest");
    process.exit();
    expect((await socket.whole()).slice(1, 3)).toEqual([
      { type: "error", data: expect.stringContaining("500 bytes") },
      { type: "stdout", data: "rest" },
    ]);
  });
});

describe.each(["exec/stream", CONNECT])("%s", (rest) => {
  test("is refused in HTTP before any upgrade: 401, 404, 409, and 400 for what asks for no upgrade (R205, R206)", async () => {
    const theirs = await capsuleOnAgent((await tenant()).teamId);
    expect((await upgrade(path(rest))).status).toBe(401);
    expect((await upgrade(path(rest), { "x-api-key": `wrn_${"0".repeat(32)}` })).status).toBe(401);
    for (const id of [newId("sandbox", Date.now()), theirs.id, "nonsense"]) {
      expect((await upgrade(path(rest, id), key())).status).toBe(404);
    }
    expect((await t.call("GET", path(rest))).status).toBe(400);
    expect((await t.call("GET", path(rest), undefined, { upgrade: "h2c" })).status).toBe(400);
    await env.SANDBOX.getByName(capsule.id).stop(t.teamId);
    const stopped = await upgrade(path(rest), key());
    expect([stopped.status, await stopped.json()]).toMatchObject([409, { error: { code: "invalid_state" } }]);
  });

  test("a session needs an origin that is allowed, a key does not (R220)", async () => {
    const p = await person({ teamId: t.teamId });
    const evil = { origin: "https://evil.example" };
    const refused = await upgrade(path(rest), { cookie: p.cookie, ...evil });
    expect([refused.status, await refused.json()]).toMatchObject([403, { error: { code: "csrf_failed" } }]);
    for (const headers of [
      { ...key(), ...evil },
      { cookie: p.cookie, origin: "http://longshore.test" },
    ]) {
      const { socket } = await openSocket(path(rest), headers);
      socket.close(1000);
    }
  });

  test("opening it counts as activity (R221)", async () => {
    await openSocket(path(rest), key());
    await eventually(async () =>
      expect(await rowOf("sandboxes", capsule.id)).toMatchObject({ last_active_at: expect.any(Number) }),
    );
  });

  test("T7 it is closed within five seconds of its credential's end", async () => {
    const socket = await openSocket(path(rest), key());
    socket.send({ type: "start", cmd: "tail" });
    await socket.the("start");
    await t.ctx.principals.principal(t.principal).revoke(t.keyId);
    await socket.whole(5_000);
    expect(socket.closed).toEqual({ code: 1008, reason: "the credential ended" });
    await eventually(() => expect(process.left).toBe(true));
  });

  test("an administrator opens that of any team, which its team's log tells of (R409, R410)", async () => {
    const admin = await person({ platformAdmin: true });
    const at = `/v1/admin/capsules/${capsule.id}/${rest}`;
    const socket = await openSocket(at, { cookie: admin.cookie });
    socket.send({ type: "start", cmd: "tail" });
    await socket.the("start");
    process.exit(0);
    expect((await socket.whole()).at(-1)).toEqual({ type: "exit", exit_code: 0 });
    const action = rest === CONNECT ? "sandbox.process_followed" : "sandbox.command_streamed";
    expect(await auditOf(capsule.id)).toEqual(["sandbox.started", action]);
    expect((await upgrade(at, { cookie: (await person({ teamId: t.teamId })).cookie })).status).toBe(403);
    expect((await upgrade(at, key())).status).toBe(401);
  });
});
