import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { newId } from "#kernel/id";
import { becomes, onlyHost, runningCapsule, type Team } from "#test/worker/capsules";
import { auditOf, eventually, newSandbox, onlineHost, rowOf } from "#test/worker/control";
import type { FakeAgent } from "#test/worker/fake-agent";
import { call, tenant } from "#test/worker/harness";
import { follow } from "#test/worker/streams";

let agent: FakeAgent;
let team: Team;

beforeEach(async () => {
  agent = await onlyHost();
  team = await tenant();
});

const report = (sandboxId: string, event: string, more: object = {}, from = agent) =>
  call("POST", "/v1/hosts/sandbox-events", {
    headers: { "x-host-token": from.token },
    body: { event, sandbox_id: sandboxId, host_id: from.hostId, ...more },
  });
const status = async (id: string) => (await rowOf("sandboxes", id))?.status;
const ask = (id: string, verb: string) => team.call("POST", `/v1/capsules/${id}/${verb}`);

test.for([
  ["sandbox.auto_paused", "paused"],
  ["sandbox.stopped", "stopped"],
  ["sandbox.error", "error"],
] as const)("R333 R336 R338 on %s a running capsule is %s, also when it is told again", async ([event, to]) => {
  const id = await runningCapsule(team);
  for (const more of [{}, {}, { timestamp: 1_700_000_000 }]) {
    expect(await report(id, event, more)).toMatchObject({ status: 204, text: "" });
    expect(await status(id)).toBe(to);
  }
  const trail = await eventually(async () => {
    const found = await auditOf(id);
    expect(found).toHaveLength(3);
    return found;
  });
  await report(id, event);
  expect(await auditOf(id)).toEqual(trail);
});

test("R336 no late event revives a capsule that is over, and one of an earlier lease changes nothing", async () => {
  const id = await runningCapsule(team);
  await report(id, "sandbox.stopped", { generation: 0 });
  expect(await status(id)).toBe("running");
  await report(id, "sandbox.stopped", { generation: 1 });
  for (const event of ["started", "resumed", "paused", "auto_paused", "error", "failed"]) {
    expect(await report(id, `sandbox.${event}`)).toMatchObject({ status: 204 });
    expect(await status(id)).toBe("stopped");
  }
  await eventually(() => expect(agent.wiped.has(id)).toBe(true));
});

test("R334 an event that is not known is taken and changes nothing", async () => {
  const id = await runningCapsule(team);
  const before = await rowOf("sandboxes", id);
  expect(await report(id, "sandbox.dreamed")).toMatchObject({ status: 204 });
  expect(await rowOf("sandboxes", id)).toEqual(before);
});

test("R335 a host may tell the end of a transition before it is asked", async () => {
  let open = () => {};
  const gate = () => {
    agent.gate = new Promise((resolve) => {
      open = resolve;
    });
  };
  gate();
  const { id } = (await team.call("POST", "/v1/capsules", {})).body;
  await eventually(() => expect(agent.count("PUT")).toBe(1));
  await report(id, "sandbox.started");
  expect(await status(id)).toBe("running");
  open();
  gate();
  await ask(id, "pause");
  await report(id, "sandbox.pause_failed", { error: "no room" });
  expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running", status_reason: "no room" });
  await ask(id, "pause");
  await report(id, "sandbox.paused");
  expect(await status(id)).toBe("paused");
  await ask(id, "resume");
  await report(id, "sandbox.resume_failed");
  expect(await status(id)).toBe("paused");
  await ask(id, "resume");
  await report(id, "sandbox.resumed");
  expect(await status(id)).toBe("running");
  open();
});

test("R335 a creation that the host tells to have failed is an error", async () => {
  let open = () => {};
  agent.gate = new Promise((resolve) => {
    open = resolve;
  });
  const { id } = (await team.call("POST", "/v1/capsules", {})).body;
  await eventually(() => expect(agent.count("PUT")).toBe(1));
  await report(id, "sandbox.failed", { error: "no kernel" });
  expect(await rowOf("sandboxes", id)).toMatchObject({ status: "error", status_reason: "no kernel" });
  open();
});

test("R337 R332 H5 a host tells of what is placed on it, in its own name, and of nothing else", async () => {
  const id = await runningCapsule(team);
  const other = await onlineHost();
  const FORBIDDEN = { status: 403, body: { error: { code: "forbidden" } } };
  expect(await report(id, "sandbox.stopped", {}, other)).toMatchObject(FORBIDDEN);
  expect(await report(id, "sandbox.stopped", { host_id: other.hostId })).toMatchObject(FORBIDDEN);
  expect(await report(newId("sandbox", Date.now()), "sandbox.stopped")).toMatchObject(FORBIDDEN);
  expect(await report(await newSandbox(team.teamId), "sandbox.stopped")).toMatchObject(FORBIDDEN);
  for (const field of ["event", "sandbox_id", "host_id"]) {
    const answer = await report(id, "sandbox.stopped", { [field]: undefined });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  }
  expect(await status(id)).toBe("running");
});

test("R333 a workspace's sandbox that its host gave up keeps its files and starts at its next use", async () => {
  const id = await newSandbox(team.teamId);
  const object = env.SANDBOX.getByName(id);
  for (const [n, event] of ["sandbox.stopped", "sandbox.error"].entries()) {
    await object.route(team.teamId);
    await report(id, event);
    expect(["missing", "error"]).toContain(await status(id));
    expect(await object.route(team.teamId)).toMatchObject({ ok: true, value: { generation: n + 2 } });
  }
  expect(agent.wiped.has(id)).toBe(false);
});

test("a host that restarted has the control plane look after what it ran", async () => {
  const id = await runningCapsule(team);
  await report(id, "sandbox.lost");
  expect(await status(id)).toBe("running");
  agent.running.delete(id);
  await report(id, "sandbox.lost");
  await eventually(() => expect(agent.running.get(id)).toBe(2));
  await becomes(id, "running");
});

test("R339 R366 R374 pauses, resumptions and destructions are told with who did them, and the host's own with its reason", async () => {
  const stream = await follow("/v1/events/stream", { "x-api-key": team.key });
  await stream.events(1);
  const id = await runningCapsule(team, { timeout_sec: 60 });
  await ask(id, "pause");
  await becomes(id, "paused");
  await ask(id, "resume");
  await becomes(id, "running");
  agent.refuseHold = "freeze_failed";
  await ask(id, "pause");
  await becomes(id, "running");
  await report(id, "sandbox.auto_paused", { timestamp: Math.floor(Date.now() / 1000) - 5 });
  await ask(id, "resume");
  await eventually(() => expect(agent.count("POST", "/thaw")).toBeGreaterThan(1));
  await becomes(id, "paused");
  await team.call("DELETE", `/v1/capsules/${id}`);
  await stream.until((text) => text.includes("event: capsule.destroy\n") && text.endsWith("\n\n"));
  await stream.close();
  const query = "SELECT payload FROM team_events WHERE team_id = ? ORDER BY seq";
  const { results } = await env.DB.prepare(query).bind(team.teamId).all<{ payload: string }>();
  const told = results.map(({ payload }) => JSON.parse(payload));
  const by = { type: "api_key", id: team.keyId, name: "test" };
  const system = { type: "system", id: "system", name: "system" };
  const shown = told.map(({ type, outcome, actor, metadata }) => [type, outcome, actor, metadata]);
  expect(shown).toEqual([
    ["capsule.create", "success", by, {}],
    ["capsule.pause", "success", by, {}],
    ["capsule.resume", "success", by, {}],
    ["capsule.pause", "error", by, {}],
    ["capsule.pause", "success", system, { reason: "ttl_expired" }],
    ["capsule.resume", "error", by, {}],
    ["capsule.destroy", "success", by, {}],
  ]);
  expect(told[4].at % 1000).toBe(0);
  expect(told[4].at).toBeLessThan(Date.now() - 4_000);
});
