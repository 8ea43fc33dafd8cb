import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { expect, test } from "vitest";
import { newId } from "#kernel/id";
import { templates } from "#schema";
import { eventually } from "#test/worker/control";
import { countOf, rowOf, tenant } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

type Row = typeof templates.$inferInsert;

/** A template without files. */
async function template(teamId: string, more: Partial<Row> = {}): Promise<string> {
  const now = Date.now();
  const id = newId("template", now);
  const row: Row = { id, teamId, name: id, type: "snapshot", createdBy: "user_1", createdAt: now, ...more };
  await drizzle(env.DB).insert(templates).values(row);
  return row.name;
}

const namesOf = async (who: Pick<Person, "call">, path = "/v1/snapshots"): Promise<string[]> =>
  (await who.call("GET", path)).body.map(({ name }: { name: string }) => name);

test("a team sees its templates and the platform's, and no other team's (R295, R298, R299, R304)", async () => {
  const [mine, theirs] = [await person(), await person()];
  const name = await template(mine.teamId, {
    vcpus: 2,
    memoryMb: 1024,
    sizeBytes: 5,
    metadata: { a: "b" },
    createdAt: 7,
  });
  const { status, body } = await mine.call("GET", "/v1/snapshots");
  expect(status).toBe(200);
  expect(body).toEqual([
    {
      ...{ name, type: "snapshot", vcpus: 2, memory_mb: 1024, size_bytes: 5, platform: false },
      ...{ created_at: "1970-01-01T00:00:00.007Z", metadata: { a: "b" } },
    },
    {
      ...{ name: "minimal", type: "base", vcpus: null, memory_mb: null, size_bytes: 0, platform: true },
      ...{ created_at: "1970-01-01T00:00:00.000Z", metadata: null },
    },
  ]);
  expect(await namesOf(theirs)).toEqual(["minimal"]);
});

test("the list can be of one type, and only of one there is (R296, R297)", async () => {
  const mine = await person();
  const [snapshot, base] = [await template(mine.teamId), await template(mine.teamId, { type: "base", createdAt: 9 })];
  expect(await namesOf(mine, "/v1/snapshots?type=snapshot")).toEqual([snapshot]);
  expect(await namesOf(mine, "/v1/snapshots?type=base")).toEqual([base, "minimal"]);
  for (const type of ["bases", "", "SNAPSHOT"]) {
    const answer = await mine.call("GET", `/v1/snapshots?type=${type}`);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  }
});

test("a deleted template is gone, its name is free, and everyone may know who did it (R300, R301, R374, R386)", async () => {
  const t = await tenant();
  const name = await template(t.teamId, { name: "mine" });
  const { id } = (await rowOf("templates", t.teamId, "team_id")) as { id: string };
  expect((await t.call("DELETE", `/v1/snapshots/${name}`)).status).toBe(204);
  expect(await countOf("templates", "team_id = ?", t.teamId)).toBe(0);
  expect(await t.call("DELETE", `/v1/snapshots/${name}`)).toMatchObject({
    status: 404,
    body: { error: { code: "not_found" } },
  });
  const entry = { action: "snapshot.deleted", scope: "team", team_id: t.teamId, actor_id: t.keyId, result: "ok" };
  expect(await rowOf("audit_entries", id, "subject_id")).toMatchObject(entry);
  expect(await countOf("audit_entries", "subject_id = ?", id)).toBe(1);
  const event = (await rowOf("team_events", t.teamId, "team_id")) as { payload: string };
  expect(JSON.parse(event.payload)).toMatchObject({
    ...{ type: "template.snapshot.delete", outcome: "success", resource: { id: "mine", type: "snapshot" } },
    actor: { type: "api_key", id: t.keyId },
  });
  await template(t.teamId, { name: "mine" });
});

test("of two who delete a template at once, one does (R300)", async () => {
  const t = await tenant();
  const name = await template(t.teamId);
  const statuses = await Promise.all(
    [1, 2, 3].map(async () => (await t.call("DELETE", `/v1/snapshots/${name}`)).status),
  );
  expect(statuses.sort()).toEqual([204, 404, 404]);
  expect(await countOf("audit_entries", "team_id = ? AND action = 'snapshot.deleted'", t.teamId)).toBe(1);
});

test("another team's template cannot be deleted, and the platform's is forbidden (R299, R302, A64)", async () => {
  const [t, other] = [await tenant(), await tenant()];
  const name = await template(other.teamId);
  expect((await t.call("DELETE", `/v1/snapshots/${name}`)).status).toBe(404);
  expect(await t.call("DELETE", "/v1/snapshots/minimal")).toMatchObject({
    status: 403,
    body: { error: { code: "forbidden" } },
  });
  expect(await rowOf("templates", name, "name")).toBeTruthy();
  expect(await rowOf("templates", "minimal", "name")).toBeTruthy();
});

test("administrators see all templates and delete any but minimal (R404, R405, A65)", async () => {
  const [admin, a, b] = [await person({ platformAdmin: true }), await person(), await person()];
  const [ofA, platform] = [await template(a.teamId), await template("", { type: "base" })];
  expect(await namesOf(admin, "/v1/admin/templates")).toEqual(expect.arrayContaining([ofA, platform, "minimal"]));
  for (const name of [ofA, platform]) {
    expect((await admin.call("DELETE", `/v1/admin/templates/${name}`)).status).toBe(204);
    expect((await admin.call("DELETE", `/v1/admin/templates/${name}`)).status).toBe(404);
  }
  expect((await admin.call("DELETE", "/v1/admin/templates/minimal")).status).toBe(403);
  // The owner's log tells of it, and of nobody else's.
  const logged = (await a.call("GET", "/v1/audit-logs")).body.entries;
  expect(logged).toMatchObject([{ resource_type: "template", action: "delete", scope: "admin" }]);
  expect((await b.call("GET", "/v1/audit-logs")).body.entries).toEqual([]);
  const events = await eventually(async () => {
    const count = await countOf("team_events", "type = 'template.snapshot.delete' AND team_id IS NULL");
    expect(count).toBe(1);
    return count;
  });
  expect(events).toBe(1);
});

test("where several teams use a name, an administrator says whose template it is (R405)", async () => {
  const [admin, a, b] = [await person({ platformAdmin: true }), await person(), await person()];
  for (const { teamId } of [a, b]) await template(teamId, { name: "shared" });
  expect((await admin.call("DELETE", "/v1/admin/templates/shared")).status).toBe(409);
  expect((await admin.call("DELETE", `/v1/admin/templates/shared?team_id=${b.teamId}`)).status).toBe(204);
  expect([await namesOf(a), await namesOf(b)]).toEqual([["shared", "minimal"], ["minimal"]]);
  expect((await admin.call("DELETE", "/v1/admin/templates/shared")).status).toBe(204);
});
