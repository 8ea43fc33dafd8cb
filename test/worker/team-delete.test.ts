import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { commitIdentity, principalsOfTeams } from "#domain/principal/commit-identity";
import { afterDeletion, softDeleteTeams } from "#domain/team/soft-delete-teams";
import { sweepTeams } from "#domain/team/sweep-teams";
import { auditOf, eventually, newSandbox, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { call, contextFor, countOf, rowOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { begun, scriptEngine } from "#test/worker/sessions";

let agent: FakeAgent;

beforeEach(async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  agent = await onlineHost();
});

const destroy = (p: Person, id = p.teamId) => p.call("DELETE", `/v1/teams/${id}`);
const scheduler = () => contextFor(systemActor("scheduler"));
const statusOf = async (id: string) => (await rowOf("sandboxes", id))?.status;

async function running(teamId: string): Promise<string> {
  const id = await newSandbox(teamId);
  expect(await env.SANDBOX.getByName(id).start(teamId)).toMatchObject({ ok: true });
  await eventually(async () => expect(await statusOf(id)).toBe("running"));
  return id;
}

const setStatus = (id: string, status: string) =>
  env.DB.prepare("UPDATE sandboxes SET status = ? WHERE id = ?").bind(status, id).run();

test("only the owner deletes the team (R125, T3)", async () => {
  const owner = await person();
  for (const role of ["admin", "member", "viewer"] as const) {
    expect((await destroy(await person({ teamId: owner.teamId, role }))).status, role).toBe(403);
  }
  expect(await rowOf("teams", owner.teamId)).toMatchObject({ deleted_at: null });
  const answer = await destroy(owner);
  expect([answer.status, answer.text]).toEqual([204, ""]);
  expect(await rowOf("teams", owner.teamId)).toMatchObject({ name: "Team", deleted_at: expect.any(Number) });
  expect(await auditOf(owner.teamId)).toEqual(["team.deleted"]);
  expect(await rowOf("audit_entries", owner.teamId, "subject_id")).toMatchObject({
    team_id: owner.teamId,
    scope: "admin",
  });
  expect(await countOf("memberships", "team_id = ?", owner.teamId)).toBe(4);
});

test("a deleted team is in no list, its keys stop, and its people go on without a team (R112, R127, R128, T7)", async () => {
  const owner = await person();
  const member = await person({ teamId: owner.teamId, role: "member" });
  const { key } = (await member.call("POST", "/v1/api-keys", {})).body;
  const use = () => call("GET", "/api/v1/workspaces", { headers: { "x-api-key": key } });
  expect((await use()).status).toBe(200);
  await destroy(owner);
  expect((await use()).status).toBe(401);
  for (const one of [owner, member]) {
    expect((await one.call("GET", "/v1/teams")).body).toEqual([]);
    expect((await one.call("GET", `/v1/teams/${owner.teamId}`)).status).toBe(404);
    expect((await one.call("GET", `/v1/teams/${owner.teamId}/members`)).status).toBe(404);
    for (const path of ["/v1/api-keys", "/api/v1/workspaces"]) {
      expect(await one.call("GET", path)).toMatchObject({ status: 403, body: { error: { code: "no_team" } } });
    }
    expect((await destroy(one)).status).toBe(403);
  }
  expect(await auditOf(owner.teamId)).toEqual(["team.deleted"]);
});

test("every sandbox of the team that lives is destroyed, and nothing of another team (R126)", async () => {
  const [owner, other] = [await person(), await person()];
  const [own, paused, foreign] = [
    await running(owner.teamId),
    await running(owner.teamId),
    await running(other.teamId),
  ];
  await setStatus(paused, "paused");
  const idle = await newSandbox(owner.teamId);
  await destroy(owner);
  await eventually(async () => {
    expect([await statusOf(own), await statusOf(paused)]).toEqual(["stopped", "stopped"]);
    expect([agent.wiped.has(own), agent.wiped.has(paused)]).toEqual([true, true]);
  });
  expect([await statusOf(idle), await statusOf(foreign), agent.wiped.size]).toEqual(["pending", "running", 2]);
  expect(await auditOf(own)).toEqual(["sandbox.started", "sandbox.destroyed"]);
});

test("a sandbox that is starting when its team is deleted does not come to life (R126)", async () => {
  const owner = await person();
  let open = () => {};
  agent.gate = new Promise((resolve) => {
    open = resolve;
  });
  const id = await newSandbox(owner.teamId);
  const started = env.SANDBOX.getByName(id).start(owner.teamId);
  await eventually(async () => expect(await statusOf(id)).toBe("starting"));
  await destroy(owner);
  expect(await started).toMatchObject({ ok: false });
  open();
  await eventually(async () => expect([await statusOf(id), agent.wiped.has(id)]).toEqual(["stopped", true]));
});

test("what a deletion left running, or an agent started since, is ended by the sweep (R126)", async () => {
  const owner = await person();
  const id = await running(owner.teamId);
  await env.DB.prepare("UPDATE teams SET deleted_at = ? WHERE id = ?").bind(Date.now(), owner.teamId).run();
  expect(await sweepTeams(scheduler())).toBe(1);
  await eventually(async () => expect([await statusOf(id), agent.wiped.has(id)]).toEqual(["stopped", true]));
  expect(await sweepTeams(scheduler())).toBe(0);
});

test("the agents of a deleted team stop, the one at work and the one that waits (R126)", async () => {
  scriptEngine();
  const owner = await person();
  const workspace = await owner.call("POST", "/api/v1/workspaces", { name: "w", runtime: "base" });
  const session = await owner.call("POST", `/api/v1/workspaces/${workspace.body.id}/sessions`, {});
  const send = async (content: string): Promise<string> =>
    (await owner.call("POST", `/api/v1/sessions/${session.body.id}/messages`, { content })).body.runId;
  const [atWork, waiting] = [await send("hang on"), await send("say never")];
  const runStatus = async (id: string) => (await rowOf("runs", id))?.status;
  await eventually(async () =>
    expect([await runStatus(atWork), await runStatus(waiting)]).toEqual(["running", "queued"]),
  );
  await destroy(owner);
  await eventually(async () =>
    expect([await runStatus(atWork), await runStatus(waiting)]).toEqual(["cancelled", "cancelled"]),
  );
  expect(begun).toEqual([atWork]);
});

test("the sweep ends the runs of deleted teams and leaves others alone", async () => {
  const [owner, other] = [await person(), await person()];
  const insert =
    "INSERT INTO runs (id, team_id, workspace_id, session_id, status, trigger_type, agent_name, created_at, published_at) VALUES (?, ?, 'w', 's', 'running', 't', 'a', 0, 0)";
  for (const { teamId } of [owner, other]) await env.DB.prepare(insert).bind(`run_${teamId}`, teamId).run();
  expect(await sweepTeams(scheduler())).toBe(0);
  await env.DB.prepare("UPDATE teams SET deleted_at = ? WHERE id = ?").bind(Date.now(), owner.teamId).run();
  expect(await sweepTeams(scheduler())).toBe(1);
});

test("a sandbox that cannot be reached does not keep the others (R126)", async () => {
  const owner = await person();
  const ids = [await running(owner.teamId), await running(owner.teamId)];
  await env.DB.prepare("UPDATE sandboxes SET team_id = 'team_other' WHERE id = ?").bind(ids[0]).run();
  await env.DB.prepare("UPDATE teams SET deleted_at = ? WHERE id = ?").bind(Date.now(), owner.teamId).run();
  await env.DB.prepare(
    "INSERT INTO teams (id, name, slug, created_at, updated_at, deleted_at) VALUES ('team_other', 'n', 's', 0, 0, ?)",
  )
    .bind(Date.now())
    .run();
  await sweepTeams(scheduler());
  await eventually(() => expect(agent.wiped.has(ids[1]!)).toBe(true));
  expect(agent.wiped.has(ids[0]!)).toBe(false);
});

test("many teams are deleted in one change, each with its audit row, none twice (T12)", async () => {
  const people = await Promise.all([person(), person(), person()]);
  const ids = people.map(({ teamId }) => teamId);
  const ctx = contextFor(systemActor());
  const end = async () => {
    const [first, ...rest] = softDeleteTeams(ctx, ids);
    if (first) await commitIdentity(ctx, await principalsOfTeams(ctx.db, ids), first, ...rest);
    afterDeletion(ctx, ids);
  };
  await end();
  await end();
  for (const one of people) {
    expect(await auditOf(one.teamId)).toEqual(["team.deleted"]);
    expect((await one.call("GET", "/v1/api-keys")).body).toMatchObject({ error: { code: "no_team" } });
  }
});
