import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { createSandbox } from "#domain/sandbox/create-sandbox";
import { SANDBOX_STATUSES } from "#domain/sandbox/status";
import { sweepPlaces } from "#domain/sandbox/sweep-places";
import { newId } from "#kernel/id";
import { becomes, onlyHost, runningCapsule, type Team } from "#test/worker/capsules";
import { actorOf, auditOf, byocTeam, ctxOf, eventually, rowOf } from "#test/worker/control";
import type { FakeAgent } from "#test/worker/fake-agent";
import { contextFor, countOf, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

let agent: FakeAgent;
let team: Team;

beforeEach(async () => {
  agent = await onlyHost();
  team = await tenant();
});

const create = (body: unknown = {}, headers?: Record<string, string>) =>
  team.call("POST", "/v1/capsules", body, headers);
const look = async (id: string) => (await team.call("GET", `/v1/capsules/${id}`)).body;

test("a capsule is `starting` at first, with the defaults, and runs without further calls (R140 R141 R142 R174 R176 A57 A58)", async () => {
  agent.network = { allow: ["pypi.org", "*.npmjs.org"] };
  const made = await create();
  const { id } = made.body;
  expect(made).toMatchObject({
    status: 202,
    body: {
      ...{ status: "starting", template: "minimal", vcpus: 1, memory_mb: 512, disk_size_mb: 5120, timeout_sec: 0 },
      ...{ started_at: null, last_active_at: null, metadata: {}, guest_ip: "", host_ip: "" },
    },
  });
  await becomes(id, "running");
  const running = await look(id);
  expect(running).toMatchObject({ id, status: "running", started_at: expect.any(String) });
  expect(running.last_active_at).toBe(running.started_at);
  expect(running.metadata).toEqual({
    ...{ kernel_version: "6.1", vmm_version: "none", agent_version: "0.1", envd_version: "0.2", pause_mode: "freeze" },
    network_policy: "pypi.org, *.npmjs.org",
  });
  expect(JSON.parse(agent.seen[0]!.body)).toMatchObject({ limits: { vcpus: 1, memoryMb: 512, diskMb: 5120 } });
  await eventually(async () => expect(await auditOf(id)).toEqual(["sandbox.created", "sandbox.started"]));
});

test.for([
  [
    "zeros mean the defaults (R143)",
    { vcpus: 0, memory_mb: -1, disk_size_mb: 0 },
    { vcpus: 1, memory_mb: 512, disk_size_mb: 5120 },
  ],
  [
    "what is asked for is kept",
    { vcpus: 2, memory_mb: 1024, disk_size_mb: 700 },
    { vcpus: 2, memory_mb: 1024, disk_size_mb: 700 },
  ],
  ["a disk is capped (R150 A60)", { disk_size_mb: 50_000 }, { disk_size_mb: 5120 }],
  ["a short time is a minute (R145)", { timeout_sec: 1 }, { timeout_sec: 60 }],
  ["one of 59 seconds too (R145)", { timeout_sec: 59 }, { timeout_sec: 60 }],
  ["60 is kept (R145)", { timeout_sec: 60 }, { timeout_sec: 60 }],
  ["a longer one too (R145)", { timeout_sec: 3600 }, { timeout_sec: 3600 }],
  ["0 stays (R145 R146)", { timeout_sec: 0 }, { timeout_sec: 0 }],
  ["labels are kept (R174 A15)", { metadata: { owner: "me" } }, { metadata: { owner: "me" } }],
  ["unknown fields are dropped (R20)", { status: "running", team_id: "team_x" }, { status: "starting" }],
] as const)("%s", async ([, body, shown]) => {
  const made = await create(body);
  expect(made).toMatchObject({ status: 202, body: shown });
  const { status: _, ...stored } = shown as Record<string, unknown>;
  expect(await look(made.body.id)).toMatchObject(stored);
});

test.for([
  ["a negative time (R144)", { timeout_sec: -1 }, 400, "invalid_request"],
  ["a size that is no number", { vcpus: "two" }, 400, "invalid_request"],
  ["half a processor", { vcpus: 0.5 }, 400, "invalid_request"],
  ["more processors than allowed (A49)", { vcpus: 9 }, 400, "invalid_request"],
  ["more memory than allowed (A49)", { memory_mb: 16_385 }, 400, "invalid_request"],
  ["a label of the machine's (A15)", { metadata: { kernel_version: "9" } }, 400, "invalid_request"],
  ["a label that is no text", { metadata: { a: 1 } }, 400, "invalid_request"],
  ["an unknown template (R151)", { template: "nothing" }, 404, "not_found"],
  ["a name that is no template's (R151)", { template: "no/such" }, 400, "invalid_request"],
] as const)("%s is refused, and nothing is made", async ([, body, status, code]) => {
  expect(await create(body)).toMatchObject({ status, body: { error: { code } } });
  expect(await countOf("sandboxes", "team_id = ?", team.teamId)).toBe(0);
  expect(await countOf("audit_entries", "team_id = ? AND action = 'sandbox.created'", team.teamId)).toBe(0);
});

test("a template fixes the sizes it has, and its files are the least a disk holds (R152 R150)", async () => {
  await env.DB.prepare(
    `INSERT INTO templates (id, team_id, name, type, vcpus, memory_mb, size_bytes, manifest, created_by, created_at)
     VALUES (?, ?, 'big', 'snapshot', 3, 2048, ?, 'digest', 'u', 0)`,
  )
    .bind("tpl_1", team.teamId, 6_000 * 1024 * 1024)
    .run();
  const { body } = await create({ template: "big", vcpus: 1, memory_mb: 256, disk_size_mb: 100 });
  expect(body).toMatchObject({ template: "big", vcpus: 3, memory_mb: 2048, disk_size_mb: 6000 });
  expect(await rowOf("sandboxes", body.id)).toMatchObject({ template_id: "tpl_1" });
  const stranger = await tenant();
  expect(await stranger.call("POST", "/v1/capsules", { template: "big" })).toMatchObject({ status: 404 });
});

test("without a host with room nothing is made (R154)", async () => {
  await env.DB.prepare("UPDATE hosts SET memory_mb = 100 WHERE id = ?").bind(agent.hostId).run();
  expect(await create()).toMatchObject({ status: 503, body: { error: { code: "no_hosts_available" } } });
  expect(await countOf("sandboxes", "team_id = ?", team.teamId)).toBe(0);
});

test("a team that brings its own hosts gets no other (R156)", async () => {
  const ctx = ctxOf(actorOf(await byocTeam()));
  await expect(createSandbox(ctx, {})).rejects.toMatchObject({ code: "no_hosts_available" });
});

test("a user without a team is told so (R155)", async () => {
  const someone = await person();
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(someone.teamId).run();
  await someone.ctx.principals.principal(someone.userId).distrust();
  expect(await someone.call("POST", "/v1/capsules", {})).toMatchObject({
    status: 403,
    body: { error: { code: "no_team" } },
  });
});

test("a repeat under one Idempotency-Key makes one capsule", async () => {
  const headers = { "idempotency-key": "once" };
  const [first, second] = [await create({}, headers), await create({}, headers)];
  expect(second.body).toEqual(first.body);
  expect(await countOf("sandboxes", "team_id = ?", team.teamId)).toBe(1);
});

test("the list has the team's own, newest first, without those that are over (R157 R158 A5)", async () => {
  const ids = [await runningCapsule(team), await runningCapsule(team), await runningCapsule(team)];
  await runningCapsule(await tenant());
  const list = async () => (await team.call("GET", "/v1/capsules")).body.map((one: { id: string }) => one.id);
  expect(await list()).toEqual(ids.toReversed());
  await team.call("DELETE", `/v1/capsules/${ids[1]}`);
  await becomes(ids[1]!, "stopped");
  await env.DB.prepare("UPDATE sandboxes SET status = 'error' WHERE id = ?").bind(ids[0]).run();
  expect(await list()).toEqual([ids[2]]);
  for (const id of ids) expect(await look(id)).toMatchObject({ id });
});

test("whatever a capsule's status, it can be looked at and has one of the eleven (R178 R160)", async () => {
  const id = await runningCapsule(team);
  for (const status of SANDBOX_STATUSES) {
    await env.DB.prepare("UPDATE sandboxes SET status = ? WHERE id = ?").bind(status, id).run();
    expect(await look(id)).toMatchObject({ status });
  }
});

test("destroying answers with the capsule, ends with `stopped`, and can be repeated (R161 R162 R163 R160 R177 A8)", async () => {
  const id = await runningCapsule(team);
  const before = await look(id);
  const answer = await team.call("DELETE", `/v1/capsules/${id}`);
  expect(answer).toMatchObject({ status: 202, body: { id, status: expect.stringMatching(/^stopp/) } });
  await becomes(id, "stopped");
  expect(agent.wiped.has(id)).toBe(true);
  const after = await look(id);
  expect(after).toMatchObject({ id, status: "stopped" });
  expect(after.last_updated > before.last_updated).toBe(true);
  expect(await team.call("DELETE", `/v1/capsules/${id}`)).toMatchObject({ status: 202, body: { status: "stopped" } });
  expect(await auditOf(id)).toEqual(["sandbox.created", "sandbox.started", "sandbox.destroyed"]);
});

test("another team's capsule and one that is not there are answered alike (R159 R162 R165 T1)", async () => {
  const id = await runningCapsule(await tenant());
  const missing = newId("sandbox", Date.now());
  for (const [method, path] of [
    ["GET", ""],
    ["DELETE", ""],
    ["POST", "/ping"],
  ] as const) {
    const theirs = await team.call(method, `/v1/capsules/${id}${path}`);
    expect(theirs).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
    expect((await team.call(method, `/v1/capsules/${missing}${path}`)).text).toBe(theirs.text);
  }
  expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running" });
});

test("a ping moves the time of the last activity, of a running capsule alone (R164 R165)", async () => {
  const id = await runningCapsule(team);
  await env.DB.prepare("UPDATE sandboxes SET last_active_at = 1 WHERE id = ?").bind(id).run();
  const at = Date.now();
  expect(await team.call("POST", `/v1/capsules/${id}/ping`)).toMatchObject({ status: 204, text: "" });
  expect(Date.parse((await look(id)).last_active_at)).toBeGreaterThanOrEqual(at);
  await team.call("DELETE", `/v1/capsules/${id}`);
  const answer = await team.call("POST", `/v1/capsules/${id}/ping`);
  expect(answer).toMatchObject({ status: 409, body: { error: { code: "invalid_state" } } });
});

test("a capsule whose creation was cut after its row is started by the sweep (R8)", async () => {
  const ctx = contextFor({ ...systemActor(), teamId: team.teamId });
  const lost = {
    containers: "never",
    sandbox: () => ({ begin: async () => Promise.reject(new Error("cut")) }),
  } as never;
  await expect(createSandbox({ ...ctx, sandboxes: lost }, {})).rejects.toThrow();
  const row = await rowOf(
    "sandboxes",
    (await env.DB.prepare("SELECT id FROM sandboxes WHERE team_id = ?").bind(team.teamId).first<{ id: string }>())!.id,
  );
  await env.DB.prepare("UPDATE sandboxes SET updated_at = 0 WHERE id = ?").bind(row!.id).run();
  await sweepPlaces(ctx);
  await becomes(row!.id as string, "running");
});
