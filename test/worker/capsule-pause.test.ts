import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import { sweepPlaces } from "#domain/sandbox/sweep-places";
import { becomes, onlyHost, runningCapsule, type Team } from "#test/worker/capsules";
import { actorOf, auditOf, ctxOf, eventually, newSandbox, rowOf } from "#test/worker/control";
import type { FakeAgent } from "#test/worker/fake-agent";
import { tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

let agent: FakeAgent;
let team: Team;

beforeEach(async () => {
  vi.restoreAllMocks();
  agent = await onlyHost();
  team = await tenant();
});

const object = (id: string) => env.SANDBOX.getByName(id);
const ask = (id: string, verb: string) => team.call("POST", `/v1/capsules/${id}/${verb}`);
const look = async (id: string) => (await team.call("GET", `/v1/capsules/${id}`)).body;
const CONFLICT = { status: 409, body: { error: { code: "invalid_state" } } };

async function paused(body = {}): Promise<string> {
  const id = await runningCapsule(team, body);
  expect(await ask(id, "pause")).toMatchObject({ status: 202 });
  await becomes(id, "paused");
  return id;
}
/** Lets nothing that hosts are asked for end, until it is called. */
function hold(): () => void {
  let open = () => {};
  agent.gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}
const wake = async (id: string) => {
  await runInDurableObject(object(id), (_, { storage }) => {
    storage.sql.exec("UPDATE outbox SET due = 0");
  });
  await runDurableObjectAlarm(object(id));
};

test("a pause is `pausing` and then `paused`, a resumption `resuming` and then `running`, each audited once (R166 R169 R168 R173 R174 R175 R177 R386)", async () => {
  const id = await runningCapsule(team, { metadata: { owner: "me" } });
  const before = await look(id);
  let open = hold();
  expect(await ask(id, "pause")).toMatchObject({ status: 202, body: { id, status: "pausing" } });
  expect(await look(id)).toMatchObject({ status: "pausing" });
  open();
  await becomes(id, "paused");
  expect(agent.frozen.has(id)).toBe(true);
  const still = await look(id);
  expect(still).toMatchObject({ metadata: { owner: "me" }, host_ip: before.host_ip, started_at: before.started_at });
  expect(still.last_updated > before.last_updated).toBe(true);
  open = hold();
  expect(await ask(id, "resume")).toMatchObject({ status: 202, body: { id, status: "resuming" } });
  expect(await look(id)).toMatchObject({ status: "resuming" });
  open();
  await becomes(id, "running");
  expect(agent.frozen.has(id)).toBe(false);
  expect(await look(id)).toMatchObject({ metadata: before.metadata, host_ip: before.host_ip });
  const trail = ["sandbox.created", "sandbox.started", "sandbox.paused", "sandbox.resumed"];
  await eventually(async () => expect(await auditOf(id)).toEqual(trail));
  const { results } = await env.DB.prepare("SELECT action, actor_id FROM audit_entries WHERE subject_id = ?")
    .bind(id)
    .all();
  for (const { action, actor_id } of results) {
    expect(actor_id).toBe(action === "sandbox.started" ? "system" : team.keyId);
  }
});

test("what a capsule is not ready for is a conflict (R165 R167 R170 A7)", async () => {
  const id = await runningCapsule(team);
  expect(await ask(id, "resume")).toMatchObject(CONFLICT);
  const open = hold();
  await ask(id, "pause");
  for (const verb of ["pause", "resume", "ping"]) expect(await ask(id, verb)).toMatchObject(CONFLICT);
  open();
  await becomes(id, "paused");
  for (const verb of ["pause", "ping"]) expect(await ask(id, verb)).toMatchObject(CONFLICT);
  await team.call("DELETE", `/v1/capsules/${id}`);
  for (const verb of ["pause", "resume", "ping"]) expect(await ask(id, verb)).toMatchObject(CONFLICT);
});

test("of simultaneous pauses and resumptions one wins (R179)", async () => {
  const id = await runningCapsule(team);
  for (const [verb, to] of [
    ["pause", "paused"],
    ["resume", "running"],
  ] as const) {
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(id, verb)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, ...Array(7).fill(409)]);
    await becomes(id, to);
  }
  expect(agent.count("POST", "/freeze")).toBe(1);
});

test.for(["pause", "resume"])("a destruction during a %s wins (R180)", async (verb) => {
  const id = verb === "pause" ? await runningCapsule(team) : await paused();
  const open = hold();
  await ask(id, verb);
  expect(await team.call("DELETE", `/v1/capsules/${id}`)).toMatchObject({ status: 202 });
  open();
  await becomes(id, "stopped");
  await eventually(() => expect(agent.wiped.has(id)).toBe(true));
  expect(await look(id)).toMatchObject({ status: "stopped" });
});

test("a pause that the host refuses leaves the capsule running, a refused resumption leaves it paused, and both are audited as failures (R384)", async () => {
  const reader = await person({ teamId: team.teamId });
  const id = await runningCapsule(team);
  agent.refuseHold = "freeze_failed";
  await ask(id, "pause");
  await eventually(() => expect(agent.count("POST", "/freeze")).toBe(1));
  await becomes(id, "running");
  expect(await rowOf("sandboxes", id)).toMatchObject({ status_reason: "freeze_failed" });
  agent.refuseHold = undefined;
  await ask(id, "pause");
  await becomes(id, "paused");
  agent.refuseHold = "internal";
  await ask(id, "resume");
  await eventually(async () =>
    expect(await rowOf("sandboxes", id)).toMatchObject({ status: "paused", status_reason: "internal" }),
  );
  const failures = await eventually(async () => {
    const log = await reader.call("GET", "/v1/audit-logs?resource_type=sandbox");
    const found = log.body.entries.filter((entry: { status: string }) => entry.status === "failure");
    expect(found).toHaveLength(2);
    return found;
  });
  const by = { resource_id: id, actor_type: "api_key", actor_id: team.keyId, scope: "team" };
  expect(failures).toMatchObject([
    { ...by, action: "resume", metadata: { reason: "internal" } },
    { ...by, action: "pause", metadata: { reason: "freeze_failed" } },
  ]);
  const trail = ["sandbox.created", "sandbox.started", "sandbox.paused"];
  expect(await auditOf(id)).toEqual(trail);
});

test("a capsule whose host restarted while it was paused is started anew, and says that its memory was lost", async () => {
  const id = await paused();
  agent.running.clear();
  agent.frozen.clear();
  await ask(id, "resume");
  await becomes(id, "running");
  expect(await rowOf("sandboxes", id)).toMatchObject({ status_reason: expect.stringContaining("lost") });
  expect(await object(id).get(team.teamId)).toMatchObject({ value: { generation: 2 } });
  expect(agent.running.get(id)).toBe(2);
});

test("a transition whose object forgot its alarm is moved on by the sweep (R8 R11)", async () => {
  const id = await runningCapsule(team);
  const open = hold();
  await ask(id, "pause");
  await env.DB.prepare("UPDATE sandboxes SET updated_at = 0 WHERE id = ?").bind(id).run();
  open();
  expect(await sweepPlaces(ctxOf(actorOf("", null, "system")))).toBe(1);
  await becomes(id, "paused");
});

test("an object that was evicted during a pause completes it (R8)", async () => {
  const id = await runningCapsule(team);
  agent.up = false;
  await ask(id, "pause");
  await evictDurableObject(object(id));
  agent.up = true;
  await eventually(async () => {
    await wake(id);
    expect(await rowOf("sandboxes", id)).toMatchObject({ status: "paused" });
  });
});

/** Moves a sandbox's last activity into the past, in its object. */
async function idleFor(id: string, ms: number): Promise<void> {
  await runInDurableObject(object(id), async (_, { storage }) => {
    storage.sql.exec("UPDATE sandbox SET last_active_at = ?", Date.now() - ms);
    await storage.sync();
  });
  await evictDurableObject(object(id));
  await runDurableObjectAlarm(object(id));
}

test("an idle capsule is paused by the system, and one that was used is not (R147 R148 R149 R146)", async () => {
  const id = await runningCapsule(team, { timeout_sec: 60 });
  await idleFor(id, 59_000);
  expect(await look(id)).toMatchObject({ status: "running" });
  for (const use of [() => ask(id, "ping"), () => object(id).touch(team.teamId), () => object(id).route(team.teamId)]) {
    await idleFor(id, 59_000);
    await use();
    const alarm = await runInDurableObject(object(id), (_, { storage }) => storage.getAlarm());
    expect(alarm).toBeLessThanOrEqual(Date.now() + 60_000);
    const [{ at }] = await runInDurableObject(
      object(id),
      (_, { storage }) =>
        storage.sql.exec<{ at: number }>("SELECT last_active_at AS at FROM sandbox").toArray() as [{ at: number }],
    );
    expect(Date.now() - at).toBeLessThan(5_000);
  }
  await object(id).route(team.teamId, { quiet: true });
  await idleFor(id, 61_000);
  await becomes(id, "paused");
  await eventually(async () => expect(await auditOf(id)).toContain("sandbox.paused"));
  const [entry] = (
    await env.DB.prepare("SELECT * FROM audit_entries WHERE action = 'sandbox.paused' AND subject_id = ?")
      .bind(id)
      .all()
  ).results;
  expect(entry).toMatchObject({ actor_kind: "system", metadata: JSON.stringify({ reason: "ttl_expired" }) });
  await ask(id, "resume");
  await becomes(id, "running");
  const never = await runningCapsule(team);
  await idleFor(never, 10 ** 10);
  expect(await look(never)).toMatchObject({ status: "running" });
});

test("an idle capsule that cannot be paused is destroyed", async () => {
  const id = await runningCapsule(team, { timeout_sec: 60 });
  agent.refuseHold = "freeze_failed";
  await idleFor(id, 61_000);
  await becomes(id, "stopped");
  await eventually(() => expect(agent.wiped.has(id)).toBe(true));
});

test("a paused capsule of a workspace goes on when it is used, unless the caller does not want that", async () => {
  const id = await newSandbox(team.teamId);
  await object(id).start(team.teamId);
  expect(await object(id).pause(team.teamId)).toMatchObject({ ok: true, value: { status: "pausing" } });
  const [early] = await Promise.all([object(id).route(team.teamId), object(id).route(team.teamId)]);
  expect(early).toMatchObject({ ok: true, value: { generation: 1 } });
  await object(id).pause(team.teamId);
  await becomes(id, "paused");
  expect(await object(id).route(team.teamId, { wake: false })).toMatchObject({ code: "sandbox_not_running" });
  expect(await object(id).route(team.teamId)).toMatchObject({ ok: true });
  expect(agent.frozen.has(id)).toBe(false);
});

test("capsules of a silent host are missing; back with it they run, begin again with their files, or are over (R181)", async () => {
  const [alive, begun, gone] = [await runningCapsule(team), await runningCapsule(team), await runningCapsule(team)];
  agent.up = false;
  const nudge = () => Promise.all([alive, begun, gone].map((id) => object(id).nudge()));
  await nudge();
  for (const id of [alive, begun, gone]) await becomes(id, "missing");
  for (const verb of ["pause", "resume", "ping"]) expect(await ask(alive, verb)).toMatchObject(CONFLICT);
  agent.up = true;
  agent.running.delete(begun);
  agent.running.delete(gone);
  agent.newest.delete(gone);
  await nudge();
  await becomes(alive, "running");
  await becomes(begun, "running");
  expect(agent.running.get(begun)).toBe(2);
  await becomes(gone, "stopped");
});

test("a creation that fails is an error, and nothing of it stays", async () => {
  agent.refuseStart = "start_failed";
  const { body } = await team.call("POST", "/v1/capsules", {});
  await becomes(body.id, "error");
  await eventually(() => expect(agent.wiped.has(body.id)).toBe(true));
  expect(await team.call("DELETE", `/v1/capsules/${body.id}`)).toMatchObject({
    status: 202,
    body: { status: "error" },
  });
  expect(await auditOf(body.id)).toEqual(["sandbox.created", "sandbox.failed"]);
});
