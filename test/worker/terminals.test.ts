import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newId } from "#kernel/id";
import { SandboxObject } from "#objects/sandbox/sandbox-object";
import { type Capsule, capsuleOnAgent } from "#test/worker/agent-capsule";
import { auditOf, eventually } from "#test/worker/control";
import { supervisorRefusal } from "#test/worker/fake-agent";
import { FakeProcess, inside } from "#test/worker/fake-process";
import { type Tenant, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";
import { openSocket, type TestSocket, upgrade } from "#test/worker/sockets";

const TAG = "pty-0123abcd";
const OF = `/processes/${TAG}`;
const ENTRY = { pid: 42, tag: TAG, command: "/bin/bash", args: [], startedAtMs: 1, tty: true };

let t: Tenant;
let capsule: Capsule;
let process: FakeProcess;
let asked: [string, unknown][];
let listed: object[];
const path = (id = capsule.id) => `/v1/capsules/${id}/pty`;
const key = () => ({ "x-api-key": t.key });
const done = () => new Response(null, { status: 204 });
const base64 = (text: string) => btoa(text);

beforeEach(async () => {
  t = await tenant();
  capsule = await capsuleOnAgent(t.teamId);
  process = new FakeProcess({ tag: TAG });
  asked = [];
  listed = [ENTRY];
  answerWith({});
});
afterEach(() => {
  vi.restoreAllMocks();
});

function answerWith(more: Parameters<typeof inside>[1]): void {
  inside(capsule.agent, {
    "POST /processes": async (request) => {
      asked.push(["start", await request.json()]);
      return Response.json({ pid: 42, tag: TAG });
    },
    "GET /processes": () => Response.json({ processes: listed }),
    [`GET ${OF}/stream`]: (_, query) => {
      asked.push(["attach", query.get("after")]);
      return process.response;
    },
    [`POST ${OF}/input`]: async (request) => {
      asked.push(["input", [...new Uint8Array(await request.arrayBuffer())]]);
      return done();
    },
    [`POST ${OF}/resize`]: async (request) => {
      asked.push(["resize", await request.json()]);
      return done();
    },
    [`DELETE ${OF}`]: (_, query) => {
      asked.push(["kill", query.get("signal")]);
      return done();
    },
    ...more,
  });
}

async function opened(first: object = { type: "start" }): Promise<TestSocket> {
  const socket = await openSocket(path(), key());
  socket.send(first);
  await socket.the("started");
  return socket;
}

const heard = (...calls: [string, unknown][]) => eventually(() => expect(asked).toEqual(calls));
const FATAL = { type: "error", data: expect.any(String), fatal: true };

test("start alone opens the sandbox's shell at 80 by 24, and is answered with tag and pid (R222, R223)", async () => {
  const socket = await opened();
  await heard(["start", { tty: { cols: 80, rows: 24 } }], ["attach", "0"]);
  expect(socket.messages).toEqual([{ type: "started", tag: TAG, pid: 42 }]);
});

test.for([
  [
    { cmd: "htop", args: ["-d", "5"], cols: 120, rows: 40, envs: { A: "1" }, cwd: "/tmp", user: "sandbox" },
    { tty: { cols: 120, rows: 40 }, command: ["htop", "-d", "5"], env: { A: "1" }, cwd: "/tmp", user: "sandbox" },
  ],
  [{ args: ["-l"] }, { tty: { cols: 80, rows: 24 }, command: ["/bin/bash", "-l"] }],
  [{ cols: 0, rows: -1 }, { tty: { cols: 80, rows: 24 } }],
  [{ cols: "wide", rows: 1e9 }, { tty: { cols: 80, rows: 24 } }],
])("start %j is passed on (R224)", async ([given, request]) => {
  await opened({ type: "start", ...given });
  expect(asked[0]).toEqual(["start", request]);
});

test("bytes pass unchanged both ways, control bytes too, and what is no base64 is ignored (R225, R241)", async () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const socket = await opened();
  asked = [];
  for (const data of ["*not base64*", "", btoa(String.fromCharCode(...all))]) socket.send({ type: "input", data });
  await heard(["input", [...all]]);
  process.say("tty", all);
  expect(await socket.the("output")).toEqual({ type: "output", data: btoa(String.fromCharCode(...all)) });
});

test("what is typed while the process does not read arrives in order, and blocks nothing else", async () => {
  const gate = { open: false };
  const typed: string[] = [];
  const later = setTimeout;
  answerWith({
    [`POST ${OF}/input`]: async (request) => {
      typed.push(await request.text());
      while (!gate.open) await new Promise((resolve) => later(resolve, 5));
      return done();
    },
  });
  const socket = await opened();
  asked = [];
  for (const key of ["l", "s", " ", "-", "l"]) socket.send({ type: "input", data: base64(key) });
  socket.send({ type: "resize", cols: 10, rows: 5 });
  socket.send({ type: "kill" });
  await eventually(() => expect(asked.map(([what]) => what).sort()).toEqual(["kill", "resize"]));
  expect(typed).toEqual(["l"]);
  gate.open = true;
  await eventually(() => expect(typed.join("")).toBe("ls -l"));
});

test("resize changes the size, and one with a zero or nothing is ignored (R226, R227)", async () => {
  const socket = await opened();
  asked = [];
  for (const size of [{ cols: 0, rows: 5 }, { cols: 5 }, {}, { cols: "5", rows: 5 }, { cols: 132, rows: 50 }]) {
    socket.send({ type: "resize", ...size });
  }
  await heard(["resize", { cols: 132, rows: 50 }]);
});

test("kill ends the process, exit follows with its code, and the socket is closed (R228, R229)", async () => {
  const socket = await opened();
  asked = [];
  socket.send({ type: "kill" });
  await heard(["kill", "SIGKILL"]);
  process.exit(137, "SIGKILL");
  expect((await socket.whole()).at(-1)).toEqual({ type: "exit", exit_code: 137 });
  expect(socket.closed?.code).toBe(1000);
});

test("closing the socket leaves the process running (R230)", async () => {
  const socket = await opened();
  socket.socket.close(1000);
  await eventually(() => expect(process.left).toBe(true));
  expect(asked.map(([what]) => what)).toEqual(["start", "attach"]);
});

test("connect tells started again, then the newest output, and takes input (R231, R237, A44)", async () => {
  process.say("tty", "scrollback");
  const socket = await opened({ type: "connect", tag: TAG });
  await socket.the("output");
  expect(socket.messages).toEqual([
    { type: "started", tag: TAG, pid: 42 },
    { type: "output", data: base64("scrollback") },
  ]);
  socket.send({ type: "input", data: base64("x") });
  await heard(["attach", "-65536"], ["input", [120]]);
});

test.for([
  ["an unknown tag", { type: "connect", tag: "pty-none" }],
  ["a process id", { type: "connect", tag: "42" }],
  ["a process without a terminal", { type: "connect", tag: "proc-1" }],
  ["no tag", { type: "connect" }],
  ["another type", { type: "input", data: "eA==" }],
  ["no type", {}],
  ["no JSON", "start"],
] as const)("%s in the first message is a fatal error (R232, R233, R234)", async ([, first]) => {
  listed = [ENTRY, { ...ENTRY, tag: "proc-1", tty: false }];
  answerWith({ "GET /processes/pty-none/stream": () => supervisorRefusal("process_not_found") });
  const socket = await openSocket(path(), key());
  socket.send(first);
  expect(await socket.whole()).toEqual([FATAL]);
});

test.for(["not_supported", "directory_not_found", "conflict"] as const)(
  "a start that is refused as %s is a fatal error (A46)",
  async (code) => {
    answerWith({ "POST /processes": () => supervisorRefusal(code) });
    const socket = await openSocket(path(), key());
    socket.send({ type: "start", user: "nobody", cwd: "nowhere" });
    expect(await socket.whole()).toEqual([FATAL]);
  },
);

test("a refused input is an error that is not fatal, and a lost host one that is (R234, R239)", async () => {
  answerWith({ [`POST ${OF}/input`]: () => supervisorRefusal("conflict") });
  const socket = await opened();
  socket.send({ type: "input", data: base64("x") });
  expect(await socket.the("error")).toEqual({ type: "error", data: "conflict", fatal: false });
  process.lose();
  expect((await socket.whole()).at(-1)).toEqual(FATAL);
});

test("output that was left out for a slow viewer is told, and the rest follows", async () => {
  const socket = await opened();
  process.tell({ type: "gap", from: 0, to: 500 });
  process.say("tty", "rest");
  await socket.the("output");
  expect(socket.messages[1]).toEqual({ type: "error", data: expect.stringContaining("500 bytes"), fatal: false });
});

test("a ping comes every 30 seconds, and a pong is ignored (R235, A45)", async () => {
  // A timer must fire in the request that set it, so the time is made shorter instead of moved.
  const real = setInterval;
  const delays: unknown[] = [];
  vi.spyOn(globalThis, "setInterval").mockImplementation(((tick: () => void, ms: number) => {
    delays.push(ms);
    return real(tick, ms === 30_000 ? 20 : ms);
  }) as never);
  const socket = await opened();
  expect(delays).toContain(30_000);
  asked = [];
  await socket.the("ping");
  socket.send({ type: "pong" });
  socket.send({ type: "input", data: base64("x") });
  await eventually(() => expect(asked).toContainEqual(["input", [120]]));
});

test("several viewers see everything, all may type, and the last size holds (R238)", async () => {
  const other = new FakeProcess({ tag: TAG });
  const one = await opened();
  answerWith({ [`GET ${OF}/stream`]: () => other.response });
  const two = await opened({ type: "connect", tag: TAG });
  for (const stream of [process, other]) stream.say("tty", "both");
  expect([await one.the("output"), await two.the("output")]).toEqual(
    Array(2).fill({ type: "output", data: base64("both") }),
  );
  asked = [];
  one.send({ type: "resize", cols: 1, rows: 1 });
  await eventually(() => expect(asked).toHaveLength(1));
  two.send({ type: "resize", cols: 2, rows: 2 });
  two.send({ type: "input", data: base64("2") });
  await eventually(() => expect(asked).toContainEqual(["input", [50]]));
  expect(asked.filter(([what]) => what === "resize").at(-1)).toEqual(["resize", { cols: 2, rows: 2 }]);
});

test("typing counts as activity for what idleness pauses (R240)", async () => {
  capsule = await capsuleOnAgent(t.teamId, { timeoutSec: 60 });
  answerWith({});
  const socket = await opened();
  const now = Date.now();
  const touch = vi.spyOn(SandboxObject.prototype, "touch");
  vi.spyOn(Date, "now").mockReturnValue(now + 2_000);
  socket.send({ type: "input", data: base64("x") });
  await eventually(() => expect(touch).toHaveBeenCalledTimes(1));
});

test("is refused in HTTP before any upgrade: 401, 404, 409 (R236)", async () => {
  const theirs = await capsuleOnAgent((await tenant()).teamId);
  expect((await upgrade(path())).status).toBe(401);
  for (const id of [newId("sandbox", Date.now()), theirs.id]) expect((await upgrade(path(id), key())).status).toBe(404);
  await env.SANDBOX.getByName(capsule.id).stop(t.teamId);
  expect((await upgrade(path(), key())).status).toBe(409);
});

test("T7 a terminal is closed within five seconds of its credential's end, and runs on", async () => {
  const socket = await opened();
  await t.ctx.principals.principal(t.principal).revoke(t.keyId);
  await socket.whole(5_000);
  expect(socket.closed).toEqual({ code: 1008, reason: "the credential ended" });
  expect(asked.map(([what]) => what)).not.toContain("kill");
});

test("an administrator opens a terminal of any team, which its team's log tells of (R409, R410)", async () => {
  const admin = await person({ platformAdmin: true });
  const socket = await openSocket(`/v1/admin/capsules/${capsule.id}/pty`, { cookie: admin.cookie });
  socket.send({ type: "start" });
  await socket.the("started");
  expect(await auditOf(capsule.id)).toEqual(["sandbox.started", "sandbox.terminal_opened"]);
});
