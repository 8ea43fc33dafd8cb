import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { newId } from "#kernel/id";
import { becomes, onlyHost, runningCapsule, type Team } from "#test/worker/capsules";
import { countOf, rowOf, tenant } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

let admin: Person;
let team: Team;

beforeAll(async () => {
  admin = await person({ platformAdmin: true });
});
beforeEach(async () => {
  await onlyHost();
  team = await tenant();
});

const audited = (id: string) =>
  env.DB.prepare("SELECT action, team_id, actor_id FROM audit_entries WHERE subject_id = ? AND actor_id = ?")
    .bind(id, admin.userId)
    .all()
    .then(({ results }) => results);

test("R406 A14 an administrator makes a capsule in any team, by default in the active one; its team sees who did", async () => {
  const made = await admin.call("POST", "/v1/admin/capsules", { team_id: team.teamId, vcpus: 2, timeout_sec: 5 });
  const { id } = made.body;
  expect(made).toMatchObject({ status: 201, body: { status: "starting", vcpus: 2, timeout_sec: 60 } });
  expect(await rowOf("sandboxes", id)).toMatchObject({ team_id: team.teamId, created_by: admin.userId });
  expect(await team.call("GET", `/v1/capsules/${id}`)).toMatchObject({ status: 200, body: { id } });
  expect(await audited(id)).toEqual([{ action: "sandbox.created", team_id: team.teamId, actor_id: admin.userId }]);
  const own = await admin.call("POST", "/v1/admin/capsules", {});
  expect(await rowOf("sandboxes", own.body.id)).toMatchObject({ team_id: admin.teamId });
});

test("R406 a team that is not there, or is deleted, gets no capsule", async () => {
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(team.teamId).run();
  for (const team_id of [team.teamId, newId("team", Date.now())]) {
    expect(await admin.call("POST", "/v1/admin/capsules", { team_id })).toMatchObject({ status: 404 });
  }
  expect(await countOf("sandboxes", "team_id = ?", team.teamId)).toBe(0);
});

test("R407 A53 an administrator sees the capsules of all teams, and any of them", async () => {
  const other = await tenant();
  const ids = [await runningCapsule(team), await runningCapsule(other)];
  const { body } = await admin.call("GET", "/v1/admin/capsules");
  expect(body.map(({ id }: { id: string }) => id).slice(0, 2)).toEqual(ids.toReversed());
  for (const id of ids) {
    expect(await admin.call("GET", `/v1/admin/capsules/${id}`)).toMatchObject({ status: 200, body: { id } });
  }
  const missing = `/v1/admin/capsules/${newId("sandbox", Date.now())}`;
  for (const method of ["GET", "DELETE"] as const)
    expect(await admin.call(method, missing)).toMatchObject({ status: 404 });
});

test("R406 an administrator destroys any capsule, once, and its team's log tells who did", async () => {
  const id = await runningCapsule(team);
  for (let i = 0; i < 2; i++) {
    expect(await admin.call("DELETE", `/v1/admin/capsules/${id}`)).toMatchObject({ status: 204, text: "" });
  }
  await becomes(id, "stopped");
  expect(await audited(id)).toEqual([{ action: "sandbox.destroyed", team_id: team.teamId, actor_id: admin.userId }]);
});
