import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { EventSourceMessage } from "eventsource-parser";
import { beforeEach, expect, test } from "vitest";
import { SYSTEM } from "#domain/event/actors";
import { destroySandbox } from "#domain/sandbox/destroy-sandbox";
import { stopSandbox } from "#domain/sandbox/stop-sandbox";
import { recordChange } from "#objects/kit/record";
import { actorOf, ctxOf, eventually, newSandbox, onlineHost, rowOf } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { countOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { eventsIn, follow, type Stream } from "#test/worker/streams";

let agent: FakeAgent;
let owner: Person;
let stream: Stream;

beforeEach(async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  agent = await onlineHost();
  owner = await person();
  stream = await follow("/v1/events/stream", { cookie: owner.cookie });
  await stream.events(1);
});

async function sandbox(createdBy = owner.userId): Promise<string> {
  const id = await newSandbox(owner.teamId);
  await env.DB.prepare("UPDATE sandboxes SET created_by = ? WHERE id = ?").bind(createdBy, id).run();
  return id;
}

const object = (id: string) => env.SANDBOX.getByName(id);
const shown = ({ data }: EventSourceMessage) => JSON.parse(data);
const isAction = ({ event = "" }: EventSourceMessage) =>
  event.startsWith("capsule.") && event !== "capsule.state.changed";
const moves = (events: EventSourceMessage[]) =>
  events.filter(({ event }) => event === "capsule.state.changed").map((one) => shown(one).metadata);

/** Everything that came up to the action, which is last. */
async function upTo(action: string, stream: Stream): Promise<EventSourceMessage[]> {
  const found = (text: string) => text.includes(`event: ${action}\n`) && text.endsWith("\n\n");
  return eventsIn(await stream.until(found)).slice(1);
}

test("R374 R366 R369 R370 R371 a first start tells of the creation, in its maker's name, with the capsule as it is", async () => {
  const id = await sandbox();
  await object(id).start(owner.teamId);
  const events = await upTo("capsule.create", stream);
  expect(moves(events)).toEqual([
    { from: "pending", to: "starting" },
    { from: "starting", to: "running" },
  ]);
  expect(shown(events.at(-1)!)).toEqual({
    event: "capsule.create",
    outcome: "success",
    resource: { id, type: "sandbox" },
    actor: { type: "user", id: owner.userId, name: "Person" },
    metadata: {},
    sandbox: expect.objectContaining({
      ...{ id, status: "running", template: "minimal", vcpus: 1, memory_mb: 512, timeout_sec: 0, disk_size_mb: 5120 },
      ...{
        guest_ip: "",
        host_ip: "",
        metadata: expect.objectContaining({ pause_mode: "freeze" }),
        started_at: expect.any(String),
        last_updated: expect.any(String),
      },
    }),
    timestamp: expect.any(String),
  });
  await stream.close();
});

test("R374 a key's sandbox is told in the key's name, and a later start is no creation", async () => {
  const key = (await owner.call("POST", "/v1/api-keys", { name: "CI" })).body;
  const id = await sandbox(key.id);
  await object(id).start(owner.teamId);
  const created = (await upTo("capsule.create", stream)).at(-1)!;
  expect(shown(created).actor).toEqual({ type: "api_key", id: key.id, name: "CI" });
  await stopSandbox(ctxOf(actorOf(owner.teamId)), id);
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));
  await object(id).start(owner.teamId);
  const events = await stream.events(1 + 6 + 1);
  expect(events.filter(isAction)).toHaveLength(1);
  expect(moves(events).at(-1)).toEqual({ from: "starting", to: "running" });
  await stream.close();
});

test("R367 R368 a first start that fails tells why", async () => {
  agent.refuseStart = "start_failed";
  const id = await sandbox();
  await object(id).start(owner.teamId);
  const failed = shown((await upTo("capsule.create", stream)).at(-1)!);
  expect(failed).toMatchObject({ outcome: "error", error: "start_failed", sandbox: { id, status: "error" } });
  await stream.close();
});

test("R374 R370 a destruction is told once it is done, in the name of whoever asked", async () => {
  const id = await sandbox();
  await object(id).start(owner.teamId);
  const by = { ...actorOf(owner.teamId, "owner", "api_key"), id: "key_x", name: "CI" };
  await destroySandbox(ctxOf(by), id);
  const events = await upTo("capsule.destroy", stream);
  expect(moves(events).slice(-2)).toEqual([
    { from: "running", to: "stopping" },
    { from: "stopping", to: "stopped" },
  ]);
  expect(shown(events.at(-1)!)).toMatchObject({
    outcome: "success",
    actor: { type: "api_key", id: "key_x", name: "CI" },
    sandbox: { id, status: "stopped" },
  });
  await destroySandbox(ctxOf(by), id);
  await stream.close();
  expect(await countOf("team_events", "team_id = ? AND type = 'capsule.destroy'", owner.teamId)).toBe(1);
});

test("R369 a capsule that cannot be read is null", async () => {
  const id = await sandbox();
  await object(id).start(owner.teamId);
  const first = (await upTo("capsule.create", stream)).at(-1)!;
  await env.DB.prepare("DELETE FROM sandboxes WHERE id = ?").bind(id).run();
  const before = `${first.id!.split("-")[0]}-0`;
  const later = await follow("/v1/events/stream", { cookie: owner.cookie, "last-event-id": before });
  expect(shown((await upTo("capsule.create", later)).at(-1)!)).toMatchObject({ resource: { id }, sandbox: null });
  await Promise.all([stream.close(), later.close()]);
});

test("R362 R371 the administrators' stream tells of state changes too", async () => {
  const admin = await person({ platformAdmin: true });
  const all = await follow("/v1/admin/events/stream", { cookie: admin.cookie });
  await all.events(1);
  const id = await sandbox();
  await object(id).start(owner.teamId);
  const events = await upTo("capsule.create", all);
  expect(moves(events)).toHaveLength(2);
  for (const one of events) expect(shown(one)).toMatchObject({ resource: { id }, sandbox: { id } });
  await Promise.all([stream.close(), all.close()]);
});

test("R372 R371 a sandbox whose host is gone says so", async () => {
  const id = await sandbox();
  await object(id).start(owner.teamId);
  agent.up = false;
  await object(id).nudge();
  const text = await stream.until((now) => now.includes('"to":"missing"') && now.endsWith("\n\n"));
  expect(text).toContain('"metadata":{"from":"running","to":"missing","reason":"host_failure"}');
  await stream.close();
});

test("an effect that is repeated leaves one event and one audit entry, and another effect its own", async () => {
  const id = await sandbox();
  const { teamId } = owner;
  const at = Date.now();
  const resource = { id, type: "sandbox" } as const;
  const event = {
    type: "capsule.create",
    outcome: "success",
    teamId,
    resource,
    actor: SYSTEM,
    metadata: {},
    at,
  } as const;
  const entry = { teamId, action: "sandbox.started", subjectId: id, at, event } as const;
  const announced: Promise<unknown>[] = [];
  const self = { ctx: { waitUntil: (work: Promise<unknown>) => void announced.push(work) }, env };
  for (const effectId of ["1", "1", "2", "1"]) await recordChange(self, effectId, entry);
  await Promise.all(announced);
  expect(await countOf("team_events", "team_id = ?", teamId)).toBe(2);
  expect(await countOf("audit_entries", "subject_id = ?", id)).toBe(2);
  expect((await stream.events(3)).slice(1).map((one) => shown(one).resource.id)).toEqual([id, id]);
  await stream.close();
});

/** Makes a host silent for long enough, and lets it find out. */
async function silence(hostId: string): Promise<void> {
  const host = env.HOST.getByName(hostId);
  await runInDurableObject(host, async (_, { storage }) => {
    storage.sql.exec("UPDATE host SET liveness = json_set(liveness, '$.lastBeatAt', 0)");
    await storage.sync();
  });
  await evictDurableObject(host);
  await runDurableObjectAlarm(host);
}

test("R362 a team's host that goes and comes back is told to its team and to the administrators; the platform's to them alone", async () => {
  const admin = await person({ platformAdmin: true });
  const all = await follow("/v1/admin/events/stream", { cookie: admin.cookie });
  await all.events(1);
  const theirs = await onlineHost();
  await env.DB.prepare("UPDATE hosts SET type = 'byoc', team_id = ? WHERE id = ?")
    .bind(owner.teamId, theirs.hostId)
    .run();
  for (const { hostId } of [agent, theirs]) await silence(hostId);
  await env.HOST.getByName(agent.hostId).beat();
  await env.HOST.getByName(theirs.hostId).beat();
  const seen = (await all.events(5)).slice(1).map((one) => [one.event, shown(one).resource.id]);
  expect(seen.sort()).toEqual(
    [agent.hostId, theirs.hostId]
      .flatMap((id) => [
        ["host.down", id],
        ["host.up", id],
      ])
      .sort(),
  );
  const own = (await stream.events(3)).slice(1);
  expect(own.map((one) => [one.event, shown(one).resource])).toEqual([
    ["host.down", { id: theirs.hostId, type: "host" }],
    ["host.up", { id: theirs.hostId, type: "host" }],
  ]);
  for (const one of own) expect(shown(one)).not.toHaveProperty("outcome");
  expect(shown(own[0]!)).not.toHaveProperty("sandbox");
  expect(await countOf("team_events", "team_id IS NULL")).toBe(2);
  await Promise.all([stream.close(), all.close()]);
});
