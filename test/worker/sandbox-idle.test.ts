import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MINUTE, SECOND } from "#kernel/time";
import { SandboxObject } from "#objects/sandbox/sandbox-object";
import { makeSandboxPort } from "#platform/sandbox/port";
import { type Capsule, capsuleOnAgent } from "#test/worker/agent-capsule";
import { becomes } from "#test/worker/capsules";
import { newTeam } from "#test/worker/control";

const TIMERS = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] as const;
/** A command in front has no answer while it runs, a stream one that does not end. */
const lasting = (_: Request, path: string) =>
  path === "/exec"
    ? new Promise<Response>(() => {})
    : new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));

let teamId: string;
const link = ({ id }: Capsule) => makeSandboxPort(env).link(teamId, id);
const touches = () => vi.spyOn(SandboxObject.prototype, "touch");
const inside = ({ agent }: Capsule, path: string) =>
  vi.waitFor(() => expect(agent.count("POST", `/supervisor/v1${path}`)).toBe(1));

beforeEach(() => {
  teamId = newTeam();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Begins something that lasts, and answers with how to end it. */
const LASTING = {
  "a command in front": async (capsule: Capsule) => {
    const leave = new AbortController();
    const done = link(capsule).exec({ execId: "op_1", command: "sleep 600" }, leave.signal);
    done.catch(() => {});
    await inside(capsule, "/exec");
    return leave;
  },
  "a command that a stream owns": async (capsule: Capsule) => {
    const leave = new AbortController();
    const lines = link(capsule).processes.own({ command: "sleep 600" }, leave.signal);
    lines.next().catch(() => {});
    await inside(capsule, "/processes");
    return leave;
  },
};

test.for(Object.entries(LASTING))(
  "%s keeps its capsule from being idle for as long as it runs (R147, R149, R203)",
  async ([, begin]) => {
    const capsule = await capsuleOnAgent(teamId, { timeoutSec: 60 });
    capsule.agent.inside = lasting;
    vi.useFakeTimers({ toFake: [...TIMERS], now: Date.now() });
    const touch = touches();
    const leave = await begin(capsule);
    for (let step = 0; step < 15; step++) await vi.advanceTimersByTimeAsync(10 * SECOND);
    expect(touch.mock.calls.length).toBeGreaterThanOrEqual(14);
    await runDurableObjectAlarm(env.SANDBOX.getByName(capsule.id));
    expect(await env.SANDBOX.getByName(capsule.id).get(teamId)).toMatchObject({ value: { status: "running" } });
    capsule.agent.inside = () => new Response(null, { status: 204 });
    leave.abort(new Error("left"));
    await vi.advanceTimersByTimeAsync(61 * SECOND);
    await runDurableObjectAlarm(env.SANDBOX.getByName(capsule.id));
    vi.useRealTimers();
    await becomes(capsule.id, "paused");
  },
);

test.for(Object.entries(LASTING))("%s tells a capsule without a time-out nothing", async ([, begin]) => {
  const capsule = await capsuleOnAgent(teamId);
  capsule.agent.inside = lasting;
  vi.useFakeTimers({ toFake: [...TIMERS], now: Date.now() });
  const touch = touches();
  const leave = await begin(capsule);
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(touch).not.toHaveBeenCalled();
  capsule.agent.inside = () => new Response(null, { status: 204 });
  leave.abort(new Error("left"));
});

test("whoever only reads along counts when they begin, and not again (R149)", async () => {
  const capsule = await capsuleOnAgent(teamId, { timeoutSec: 60 });
  capsule.agent.inside = lasting;
  vi.useFakeTimers({ toFake: [...TIMERS], now: Date.now() });
  const touch = touches();
  const leave = new AbortController();
  const lines = link(capsule).processes.attach("42", "now", leave.signal);
  lines.next().catch(() => {});
  await vi.waitFor(() => expect(capsule.agent.count("GET", "/supervisor/v1/processes/42/stream")).toBe(1));
  await vi.advanceTimersByTimeAsync(30 * SECOND);
  expect(touch).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(31 * SECOND);
  await runDurableObjectAlarm(env.SANDBOX.getByName(capsule.id));
  vi.useRealTimers();
  await becomes(capsule.id, "paused");
  leave.abort(new Error("left"));
});
