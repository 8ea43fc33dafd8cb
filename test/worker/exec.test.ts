import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { newId } from "#kernel/id";
import { SECOND } from "#kernel/time";
import { SandboxObject } from "#objects/sandbox/sandbox-object";
import type { ExecResult } from "#protocol/supervisor";
import { type Capsule, capsuleOnAgent, lastSent } from "#test/worker/agent-capsule";
import { becomes } from "#test/worker/capsules";
import { auditOf, eventually, rowOf } from "#test/worker/control";
import { supervisorRefusal } from "#test/worker/fake-agent";
import { type Tenant, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

const RESULT: ExecResult = {
  ...{ stdout: "out\n", stderr: "err\n", encoding: "utf8", exitCode: 3, signal: null },
  ...{ timedOut: false, truncated: false, durationMs: 12.4 },
};
const STARTED = { pid: 42, tag: "proc-0123abcd" };
const EXEC = "/supervisor/v1/exec";

let t: Tenant;
let capsule: Capsule;
const path = (rest: string, id = capsule.id) => `/v1/capsules/${id}/${rest}`;
const exec = (body: object) => t.call("POST", path("exec"), body);

beforeEach(async () => {
  t = await tenant();
  capsule = await capsuleOnAgent(t.teamId);
  capsule.agent.inside = () => Response.json(RESULT);
});

describe("in the foreground", () => {
  test("answers output, exit code and duration, also for one that is not zero (R182, R183, R184)", async () => {
    const { status, body } = await exec({ cmd: "/bin/sh", args: ["-c", "exit 3"] });
    const outcome = { stdout: "out\n", stderr: "err\n", exit_code: 3, duration_ms: 12, encoding: "utf-8" };
    expect([status, body]).toEqual([200, { sandbox_id: capsule.id, cmd: "/bin/sh", ...outcome }]);
  });

  test("arguments, environment and directory go to the supervisor as they are, without a shell (R191, R194)", async () => {
    await exec({ cmd: "printf", args: ["a b", "$HOME", ";*"], envs: { A: "1" }, cwd: "sub", tag: "ignored" });
    expect(lastSent(capsule)).toEqual({
      execId: expect.stringMatching(/^op_/),
      command: ["printf", "a b", "$HOME", ";*"],
      env: { A: "1" },
      cwd: "sub",
      timeoutMs: 30_000,
    });
    expect(capsule.agent.seen.at(-1)).toMatchObject({ path: EXEC, act: "use" });
  });

  test.for([
    [undefined, 30],
    [0, 30],
    [7, 7],
  ])("a time limit of %j is %d seconds (R186)", async ([given, seconds]) => {
    await exec({ cmd: "true", ...(given !== undefined && { timeout_sec: given }) });
    expect(lastSent(capsule).timeoutMs).toBe((seconds ?? 0) * SECOND);
  });

  test("what is not text comes as base64, both outputs (R184)", async () => {
    capsule.agent.inside = () => Response.json({ ...RESULT, stdout: "/w==", stderr: "ZXJy", encoding: "base64" });
    expect((await exec({ cmd: "true" })).body).toMatchObject({ stdout: "/w==", stderr: "ZXJy", encoding: "base64" });
  });

  test("output that was cut says so (R204)", async () => {
    capsule.agent.inside = () => Response.json({ ...RESULT, truncated: true });
    expect((await exec({ cmd: "yes" })).body).toMatchObject({ truncated: true, exit_code: 3 });
  });

  test("one whose time is up is 504 (R187)", async () => {
    capsule.agent.inside = () => Response.json({ ...RESULT, timedOut: true, exitCode: 137, signal: "SIGKILL" });
    expect(await exec({ cmd: "sleep", args: ["9"], timeout_sec: 1 })).toMatchObject({
      status: 504,
      body: { error: { code: "timeout" } },
    });
  });

  test.for(["directory_not_found", "invalid_path", "path_not_allowed"] as const)(
    "a directory that is %s is 400, also in the background (R192)",
    async (code) => {
      capsule.agent.inside = () => supervisorRefusal(code);
      const invalid = { status: 400, body: { error: { code: "invalid_request" } } };
      expect(await exec({ cmd: "true", cwd: "nowhere" })).toMatchObject(invalid);
      expect(await exec({ cmd: "true", cwd: "nowhere", background: true })).toMatchObject(invalid);
    },
  );

  test.for([
    {},
    { cmd: "" },
    { cmd: 7 },
    { cmd: "a", args: "b" },
    { cmd: "a", args: [1] },
    { cmd: "a", envs: { A: 1 } },
  ])("%j is 400 (R185)", async (body) => {
    expect(await exec(body)).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  });
});

describe("in the background", () => {
  beforeEach(() => {
    capsule.agent.inside = () => Response.json(STARTED);
  });

  test("answers 202 with pid and tag at once, and passes tag, environment and directory on (R188, R189, R190)", async () => {
    const { status, body } = await exec({ cmd: "sleep", args: ["9"], background: true, timeout_sec: 1 });
    expect([status, body]).toEqual([202, { sandbox_id: capsule.id, cmd: "sleep", ...STARTED }]);
    expect(lastSent(capsule)).toEqual({ command: ["sleep", "9"] });
    await exec({ cmd: "sleep", background: true, tag: "mine", envs: { A: "1" }, cwd: "/tmp" });
    expect(lastSent(capsule)).toEqual({ command: ["sleep"], tag: "mine", env: { A: "1" }, cwd: "/tmp" });
  });

  test("the tag of a live process is 409 (R202, A61)", async () => {
    capsule.agent.inside = () => supervisorRefusal("conflict");
    expect(await exec({ cmd: "sleep", background: true, tag: "mine" })).toMatchObject({
      status: 409,
      body: { error: { code: "conflict" } },
    });
  });

  test("running processes are listed with what they run (R196)", async () => {
    const more = { command: "sleep", args: ["9"], startedAtMs: 1, tty: false };
    capsule.agent.inside = () => Response.json({ processes: [{ ...STARTED, ...more }] });
    const { status, body } = await t.call("GET", path("processes"));
    expect([status, body]).toEqual([200, { processes: [{ ...STARTED, cmd: "sleep", args: ["9"] }] }]);
  });

  test.for([
    ["proc-1", "", "SIGKILL"],
    ["42", "?signal=SIGTERM", "SIGTERM"],
    ["a%2Fb%20c", "?signal=SIGKILL", "SIGKILL"],
  ] as const)("%s is killed by %j with %s (R198, R199, R200, R201)", async ([selector, query, signal]) => {
    let asked = "";
    capsule.agent.inside = ({ url }) => {
      asked = url.slice(url.indexOf("/processes"));
      return new Response(null, { status: 204 });
    };
    expect(await t.call("DELETE", path(`processes/${selector}${query}`))).toMatchObject({ status: 204, text: "" });
    expect(asked).toBe(`/processes/${selector}?signal=${signal}`);
  });

  test("another signal is 400, and a process that is not there 404 (R199, R200)", async () => {
    capsule.agent.inside = () => supervisorRefusal("process_not_found");
    const asked = capsule.agent.seen.length;
    expect(await t.call("DELETE", path("processes/1?signal=SIGHUP"))).toMatchObject({ status: 400 });
    for (const selector of ["%2E%2E", "x".repeat(200)]) {
      expect(await t.call("DELETE", path(`processes/${selector}`))).toMatchObject({ status: 404 });
    }
    expect(capsule.agent.seen.length).toBe(asked);
    expect(await t.call("DELETE", path("processes/1"))).toMatchObject({
      status: 404,
      body: { error: { code: "not_found" } },
    });
  });
});

const EVERY = [
  ["POST", "exec", { cmd: "true" }],
  ["POST", "exec", { cmd: "true", background: true }],
  ["GET", "processes", undefined],
  ["DELETE", "processes/1", undefined],
] as const;

describe.each(EVERY)("%s %s %j", (method, rest, body) => {
  const ask = (id?: string) => t.call(method, path(rest, id), body);
  const notRunning = { status: 409, body: { error: { code: "invalid_state" } } };

  test("is 404 for an unknown capsule and for another team's (R185, R200, R17)", async () => {
    const theirs = await capsuleOnAgent((await tenant()).teamId);
    for (const id of [newId("sandbox", Date.now()), theirs.id, "nonsense"]) {
      expect(await ask(id)).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
    }
  });

  test("is 409 for one that was stopped, and does not start it (R185, R200)", async () => {
    await env.SANDBOX.getByName(capsule.id).stop(t.teamId);
    expect(await ask()).toMatchObject(notRunning);
    expect(capsule.agent.count("PUT")).toBe(1);
  });

  test("is 409 for one that is paused, and neither resumes nor loses it (R185, R200)", async () => {
    await ask();
    // A route that is still kept leads to a host where it stands still; then its object is asked.
    capsule.agent.frozen.add(capsule.id);
    expect(await ask()).toMatchObject(notRunning);
    await t.call("POST", path("pause"));
    await becomes(capsule.id, "paused");
    for (let i = 0; i < 2; i++) expect(await ask()).toMatchObject(notRunning);
    expect(capsule.agent.frozen.has(capsule.id)).toBe(true);
    expect(await rowOf("sandboxes", capsule.id)).toMatchObject({ status: "paused" });
  });

  test("is 409 for one that its host has lost, and does not start it again", async () => {
    capsule.agent.running.clear();
    expect(await ask()).toMatchObject(notRunning);
    expect(capsule.agent.count("PUT")).toBe(1);
    await eventually(async () => expect(await rowOf("sandboxes", capsule.id)).toMatchObject({ status: "missing" }));
  });

  test("counts as activity (R203)", async () => {
    expect(await rowOf("sandboxes", capsule.id)).toMatchObject({ last_active_at: null });
    await ask();
    await eventually(async () => {
      const row = await rowOf("sandboxes", capsule.id);
      expect(Number(row?.last_active_at)).toBeGreaterThan(Date.now() - 10 * SECOND);
    });
  });
});

test.for([
  [60, 2],
  [0, 0],
] as const)(
  "a capsule with a time-out of %d hears of a kept route's use %d times in three seconds (R149, R203)",
  async ([timeoutSec, times]) => {
    capsule = await capsuleOnAgent(t.teamId, { timeoutSec });
    capsule.agent.inside = () => Response.json(RESULT);
    const touch = vi.spyOn(SandboxObject.prototype, "touch");
    const clock = vi.spyOn(Date, "now");
    const begin = performance.timeOrigin + performance.now();
    for (const second of [0, 0, 1.5, 1.6, 3]) {
      clock.mockReturnValue(begin + second * SECOND);
      await exec({ cmd: "true" });
    }
    await eventually(() => expect(touch).toHaveBeenCalledTimes(times));
    vi.restoreAllMocks();
  },
);

test("an administrator uses any team's capsule, and its team's log tells of it (R409, R410)", async () => {
  const admin = await person({ platformAdmin: true });
  const at = (rest: string, id = capsule.id) => `/v1/admin/capsules/${id}/${rest}`;
  expect(await admin.call("POST", at("exec"), { cmd: "true" })).toMatchObject({ status: 200, body: { exit_code: 3 } });
  capsule.agent.inside = () => Response.json({ processes: [] });
  expect(await admin.call("GET", at("processes"))).toMatchObject({ status: 200, body: { processes: [] } });
  capsule.agent.inside = () => new Response(null, { status: 204 });
  expect(await admin.call("DELETE", at("processes/1"))).toMatchObject({ status: 204 });
  expect(await auditOf(capsule.id)).toEqual(["sandbox.started", "sandbox.command_run", "sandbox.process_killed"]);
  const query = "SELECT team_id, actor_id FROM audit_entries WHERE subject_id = ? AND actor_kind = 'user'";
  const { results } = await env.DB.prepare(query).bind(capsule.id).all();
  expect(results).toEqual(Array(2).fill({ team_id: t.teamId, actor_id: admin.userId }));
  expect(await admin.call("POST", at("exec", newId("sandbox", Date.now())), { cmd: "true" })).toMatchObject({
    status: 404,
  });
  await env.SANDBOX.getByName(capsule.id).stop(t.teamId);
  expect(await admin.call("GET", at("processes"))).toMatchObject({ status: 409 });
  const owner = await person({ teamId: t.teamId });
  expect(await owner.call("POST", at("exec"), { cmd: "true" })).toMatchObject({ status: 403 });
});
