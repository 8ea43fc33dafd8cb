import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SandboxLink } from "#domain/sandbox/ports";
import { sandboxLinkOf } from "#domain/sandbox/sandbox-link-of";
import { unwrap } from "#kernel/fault";
import { makeSandboxPort } from "#platform/sandbox/port";
import type { FileStat } from "#protocol/supervisor";
import { actorOf, ctxOf, eventually, newSandbox, newTeam, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents, supervisorRefusal } from "#test/worker/fake-agent";

const RESULT = {
  ...{ stdout: "hi\n", stderr: "", encoding: "utf8" as const, exitCode: 0 },
  ...{ signal: null, timedOut: false, truncated: false, durationMs: 3 },
};
const STAT: FileStat = {
  ...{ path: "/workspace/é.txt", name: "é.txt", kind: "file", size: 3, mtimeMs: 1, birthtimeMs: 1, mode: 420 },
  ...{ permissions: "-rw-r--r--", owner: "sandbox", group: "sandbox" },
  ...{ etag: 'W/"1"', symlinkTarget: null },
};

let agent: FakeAgent;
let link: SandboxLink;
let teamId: string;
let id: string;

beforeEach(async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  agent = await onlineHost();
  teamId = newTeam();
  id = await newSandbox(teamId);
  link = await sandboxLinkOf(ctxOf(actorOf(teamId)), id);
  agent.inside = () => Response.json(RESULT);
});

afterEach(() => {
  vi.useRealTimers();
});

const TIMERS = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] as const;
const exec = { execId: "run_1/1", command: "echo hi" };
const never = () => new Promise<Response>(() => {});

test("H4: a command's result names the limit that its host saw it run into", async () => {
  agent.inside = () => Response.json(RESULT, { headers: { "x-exec-limit": "memory" } });
  expect(await link.exec(exec)).toEqual({ ...RESULT, limit: "memory" });
});

test("the first command starts the sandbox; later ones are one request each, with a token that only allows use", async () => {
  expect(await link.exec(exec)).toEqual(RESULT);
  expect(await link.exec(exec)).toEqual(RESULT);
  expect(agent.seen.map(({ method, path, act }) => [method, path, act])).toEqual([
    ["PUT", "", "lifecycle"],
    ["POST", "/supervisor/v1/exec", "use"],
    ["POST", "/supervisor/v1/exec", "use"],
  ]);
  expect(JSON.parse(agent.seen[1]!.body)).toEqual(exec);
});

test("T1 a link to another team's sandbox finds nothing, and needs no directory to say so", async () => {
  await link.exec(exec);
  const theirs = await sandboxLinkOf(ctxOf(actorOf(newTeam())), id);
  await expect(theirs.exec(exec)).rejects.toMatchObject({ code: "sandbox_not_found" });
  await expect(sandboxLinkOf(ctxOf(actorOf(teamId, "viewer")), id)).rejects.toMatchObject({ code: "forbidden" });
});

test("H1 after the agent restarted the next command runs under a new lease, without the caller noticing", async () => {
  await link.exec(exec);
  agent.running.clear();
  expect(await link.exec(exec)).toEqual(RESULT);
  expect(agent.seen.at(-1)).toMatchObject({ path: "/supervisor/v1/exec", generation: 2 });
});

test("H1 a connection that breaks in a command is host_lost and the command is not repeated; the next one works", async () => {
  await link.exec(exec);
  agent.inside = () => {
    agent.running.clear();
    throw new TypeError("connection reset");
  };
  await expect(link.exec(exec)).rejects.toMatchObject({ code: "host_lost" });
  expect(agent.count("POST", "/supervisor/v1/exec")).toBe(2);
  agent.inside = () => Response.json(RESULT);
  expect(await link.exec(exec)).toEqual(RESULT);
  expect(agent.seen.at(-1)).toMatchObject({ generation: 2 });
});

test("a sandbox that ends under a command is host_lost, and so is an answer that breaks off", async () => {
  await link.exec(exec);
  agent.inside = () => Response.json({ error: { code: "sandbox_lost", message: "ended" } }, { status: 502 });
  await expect(link.exec(exec)).rejects.toMatchObject({ code: "host_lost" });
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
  agent.inside = () => new Response(broken);
  await expect(link.exec(exec)).rejects.toMatchObject({ code: "host_lost" });
});

test("a read is repeated once after a lost connection", async () => {
  await link.exec(exec);
  let calls = 0;
  agent.inside = () => {
    if (calls++ === 0) throw new TypeError("connection reset");
    return Response.json(STAT);
  };
  expect(await link.stat("é.txt")).toEqual(STAT);
});

test("R7 an aborted command is killed before its caller hears of it, and its request is given up", async () => {
  const abort = new AbortController();
  agent.inside = (request) => (request.method === "DELETE" ? new Response(null, { status: 204 }) : never());
  const running = link.exec(exec, abort.signal);
  await eventually(() => expect(agent.count("POST", "/supervisor/v1/exec")).toBe(1));
  abort.abort(new Error("cancelled"));
  await expect(running).rejects.toThrow("cancelled");
  expect(agent.count("DELETE", `/supervisor/v1/exec/${encodeURIComponent(exec.execId)}`)).toBe(1);
});

test("R7 a command that is aborted while its sandbox starts is never sent", async () => {
  const abort = new AbortController();
  agent.gate = new Promise(() => {});
  const running = link.exec(exec, abort.signal);
  await eventually(() => expect(agent.count("PUT")).toBe(1));
  abort.abort(new Error("cancelled"));
  await expect(running).rejects.toThrow("cancelled");
  expect(agent.count("POST", "/supervisor/v1/exec")).toBe(0);
});

test("a command whose answer does not come in its time is host_lost", async () => {
  vi.useFakeTimers({ toFake: [...TIMERS] });
  agent.inside = never;
  const lost = expect(link.exec({ ...exec, timeoutMs: 5_000 })).rejects.toMatchObject({ code: "host_lost" });
  await vi.waitFor(() => expect(agent.count("POST", "/supervisor/v1/exec")).toBe(1));
  await vi.advanceTimersByTimeAsync(15_000);
  await lost;
});

test("H2 a host that vanished without closing the connection is noticed within 20 seconds", async () => {
  vi.useFakeTimers({ toFake: [...TIMERS] });
  agent.inside = never;
  const lost = expect(link.exec(exec)).rejects.toMatchObject({ code: "host_lost" });
  await vi.waitFor(() => expect(agent.count("POST", "/supervisor/v1/exec")).toBe(1));
  await vi.advanceTimersByTimeAsync(15_000);
  await vi.waitFor(() => expect(agent.count("GET")).toBe(1));
  agent.up = false;
  await vi.advanceTimersByTimeAsync(20_000);
  await lost;
});

test("H2 a paused sandbox is not lost, also when its route has run out; what it does not answer in time is told so", async () => {
  vi.useFakeTimers({ toFake: [...TIMERS] });
  await link.exec(exec);
  agent.inside = never;
  const refused = vi.fn();
  const ended = link.exec({ ...exec, timeoutMs: 60_000 }).catch(refused);
  await vi.waitFor(() => expect(agent.count("POST", "/supervisor/v1/exec")).toBe(2));
  unwrap(await env.SANDBOX.getByName(id).pause(teamId));
  await eventually(() => expect(agent.frozen.has(id)).toBe(true));
  await vi.advanceTimersByTimeAsync(30_000);
  const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 120_000);
  await vi.advanceTimersByTimeAsync(35_000);
  expect(refused).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(10_000);
  await ended;
  clock.mockRestore();
  expect(refused).toHaveBeenCalledWith(expect.objectContaining({ code: "sandbox_not_running" }));
  expect(agent.frozen.has(id)).toBe(true);
});

test("a kept route that leads to a paused sandbox resumes it for who wants it to run, and not for who does not", async () => {
  await link.exec(exec);
  unwrap(await env.SANDBOX.getByName(id).pause(teamId));
  await eventually(() => expect(agent.frozen.has(id)).toBe(true));
  const asItIs = makeSandboxPort(env).link(teamId, id, { wake: false });
  await expect(asItIs.exec(exec)).rejects.toMatchObject({ code: "sandbox_not_running" });
  expect(agent.frozen.has(id)).toBe(true);
  await eventually(async () => expect(await link.exec(exec)).toEqual(RESULT));
  expect(agent.frozen.has(id)).toBe(false);
});

test("killing a command that is not known is fine, also when the sandbox does not run", async () => {
  await link.kill("x");
  expect(agent.seen).toEqual([]);
  await link.exec(exec);
  agent.inside = () => supervisorRefusal("exec_not_found");
  await link.kill("x");
  agent.running.clear();
  await link.kill("x");
});

test("a stopped sandbox refuses, and is not started", async () => {
  await link.exec(exec);
  await env.SANDBOX.getByName(id).stop(teamId);
  await eventually(() => expect(agent.running.has(id)).toBe(false));
  await expect(link.exec(exec)).rejects.toMatchObject({ code: "sandbox_not_running" });
  expect(agent.count("PUT")).toBe(1);
});

test("files are read as a stream with their stat, and written from bytes, text and streams", async () => {
  const header = { "x-file-stat": encodeURIComponent(JSON.stringify(STAT)) };
  let written = "";
  let query = "";
  agent.inside = async (request, path) => {
    query = new URL(request.url).search;
    if (path === "/health") return Response.json({ v: 1, pid: 1 });
    if (request.method === "GET") return new Response("abc", { headers: header });
    written = await request.text();
    return Response.json(STAT);
  };
  const { stat, body } = await link.read("é.txt", 3);
  expect([stat, await new Response(body).text(), query]).toEqual([STAT, "abc", "?path=%C3%A9.txt&maxBytes=3"]);

  agent.running.clear();
  const bodies = ["text", new TextEncoder().encode("bytes"), new Response("stream").body!];
  for (const content of bodies) {
    expect(await link.write("é.txt", content, { overwrite: false, ifMatch: undefined, mtimeMs: 5 })).toEqual(STAT);
    expect(query).toBe("?path=%C3%A9.txt&overwrite=false&mtimeMs=5");
  }
  expect(written).toBe("stream");
});

test("list, mkdir, move, remove and glob speak the supervisor's protocol", async () => {
  const answers: Record<string, unknown> = {
    "GET /files/list": { entries: [STAT], total: 1 },
    "POST /files/mkdir": STAT,
    "POST /files/move": STAT,
    "DELETE /files": { kind: "directory" },
    "GET /files/glob": { paths: ["a"], truncated: false },
  };
  agent.inside = (request, path) => Response.json(answers[`${request.method} ${path}`]);
  expect(await link.list("a b", { sortBy: "name", order: "asc", offset: 0, limit: 9 })).toEqual({
    entries: [STAT],
    total: 1,
  });
  expect(await link.mkdir("d", true)).toEqual(STAT);
  expect(await link.move("a", "b", false)).toEqual(STAT);
  expect(await link.remove("d", true)).toEqual({ kind: "directory" });
  expect(await link.glob("**/*", ".", 10)).toEqual({ paths: ["a"], truncated: false });
});

test.for([
  ["file_not_found", "file_not_found"],
  ["invalid_path", "invalid_path"],
  ["precondition_failed", "precondition_failed"],
  ["internal", "sandbox_failed"],
] as const)("the supervisor's %s is the fault %s", async ([code, fault]) => {
  agent.inside = () => supervisorRefusal(code);
  await expect(link.stat("x")).rejects.toMatchObject({ code: fault });
});

test("an answer that is not understood is no crash", async () => {
  for (const answer of ["", "null", "{}", "[1"]) {
    agent.inside = () => new Response(answer);
    await expect(link.exec(exec)).rejects.toMatchObject({ code: "sandbox_failed" });
  }
  agent.inside = () => new Response("<html>", { status: 502 });
  await expect(link.exec(exec)).rejects.toMatchObject({ code: "sandbox_failed" });
  agent.inside = () => new Response("abc");
  await expect(link.read("x")).rejects.toMatchObject({ code: "sandbox_failed" });
});

test("an upload whose stream breaks is refused and given up, never ended as if it were whole (R245)", async () => {
  await link.exec(exec);
  const received: string[] = [];
  agent.inside = async (request, path) => {
    if (path === "/health") return Response.json({ v: 1, pid: 1 });
    received.push(await request.text());
    return Response.json(STAT);
  };
  let pulled = 0;
  const broken = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (pulled++ < 3) controller.enqueue(new Uint8Array(300_000));
      else controller.error(new Error("the client is gone"));
    },
  });
  const writing = link.write("f", broken, { overwrite: true });
  await expect(writing).rejects.toMatchObject({ code: "invalid" });
  expect(received).toEqual([]);
});

test("H2 a host that vanished under an upload is noticed, however long the upload may take", async () => {
  vi.useFakeTimers({ toFake: [...TIMERS] });
  agent.inside = (_, path) => (path === "/health" ? Response.json({ v: 1, pid: 1 }) : never());
  const slow = new ReadableStream<Uint8Array>({ pull: () => new Promise<void>(() => {}) });
  const lost = expect(link.write("f", slow, { overwrite: true })).rejects.toMatchObject({ code: "host_lost" });
  await vi.waitFor(() => expect(agent.count("GET", "/supervisor/v1/health")).toBe(1));
  agent.up = false;
  await vi.advanceTimersByTimeAsync(40_000);
  await lost;
});
