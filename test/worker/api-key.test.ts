import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { expect, test } from "vitest";
import { commitIdentity, principalsOfUser } from "#domain/principal/commit-identity";
import { createApiKey } from "#domain/principal/create-api-key";
import { keyPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";
import { type IdKind, makeId } from "#kernel/id";
import { memberships } from "#schema";
import { auditOf, eventually } from "#test/worker/control";
import { call, contextFor, countOf, rowOf, tenant } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

const KEYS = "/v1/api-keys";
const create = (p: Person, body: unknown = { name: "ci" }, headers = {}) => p.call("POST", KEYS, body, headers);
const use = (key: string) => call("GET", "/api/v1/workspaces", { headers: { "x-api-key": key } });

test("a new key is shown whole, once, and works for its team (R102, R104, R106, R107, R109)", async () => {
  const p = await person();
  const { status, body } = await create(p);
  expect(status).toBe(201);
  expect(body).toEqual({
    id: expect.stringMatching(/^key_/),
    team_id: p.teamId,
    name: "ci",
    key: expect.stringMatching(/^wrn_[0-9a-f]{32}$/),
    key_prefix: body.key.slice(0, 12),
    created_at: expect.any(String),
    last_used: null,
  });
  const { key: _, ...shown } = body;
  expect((await p.call("GET", KEYS)).body).toEqual([shown]);
  expect(await rowOf("api_keys", body.id)).toMatchObject({ secret_hash: await sha256(body.key), created_by: p.userId });
  expect((await use(body.key)).status).toBe(200);
  expect(await auditOf(body.id)).toEqual(["api_key.created"]);
});

test.for<[string, unknown, string]>([
  ["no name", {}, "Unnamed API Key"],
  ["an empty name", { name: "" }, "Unnamed API Key"],
  ["a blank name", { name: "  " }, "Unnamed API Key"],
  ["a name with spaces around it", { name: " ci " }, "ci"],
  [
    "fields that are not its own (T11)",
    { name: "n", id: "key_x", team_id: "team_x", role: "owner", key: "wrn_x" },
    "n",
  ],
])("a key with %s (R103)", async ([, body, name]) => {
  const p = await person();
  const made = await create(p, body);
  expect(made).toMatchObject({ status: 201, body: { name, team_id: p.teamId } });
  expect(await rowOf("api_keys", made.body.id)).toMatchObject({ name, team_id: p.teamId });
});

test.for<[string, unknown]>([
  ["a name that is no text", { name: 1 }],
  ["a name of 129 characters", { name: "n".repeat(129) }],
  ["no object", []],
])("a key with %s is refused", async ([, body]) => {
  const p = await person();
  expect(await create(p, body)).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  expect(await countOf("api_keys", "team_id = ?", p.teamId)).toBe(0);
});

test("without a session, and with a key, no key is made, listed or deleted (R12, R113)", async () => {
  const p = await person();
  const { key, id } = (await create(p)).body;
  for (const headers of [{}, { "x-api-key": key }, { authorization: `Bearer ${key}` }]) {
    expect((await call("POST", KEYS, { body: {}, headers })).status).toBe(401);
    expect((await call("GET", KEYS, { headers })).status).toBe(401);
    expect((await call("DELETE", `${KEYS}/${id}`, { headers })).status).toBe(401);
  }
  expect(await countOf("api_keys", "team_id = ? AND revoked_at IS NULL", p.teamId)).toBe(1);
});

test("keys are listed for the active team alone, newest first (R105, T1)", async () => {
  const [p, other] = [await person(), await person()];
  const mate = await person({ teamId: p.teamId, role: "member" });
  const ids = [(await create(p)).body.id, (await create(mate)).body.id];
  await create(other);
  for (const one of [p, mate, await person({ teamId: p.teamId, role: "viewer" })]) {
    const { status, body } = await one.call("GET", KEYS);
    expect([status, body.map(({ id }: { id: string }) => id)]).toEqual([200, ids.toReversed()]);
  }
});

test("every role but a viewer makes keys (T3)", async () => {
  const owner = await person();
  for (const role of ["owner", "admin", "member", "viewer"] as const) {
    const one = role === "owner" ? owner : await person({ teamId: owner.teamId, role });
    expect((await create(one)).status, role).toBe(role === "viewer" ? 403 : 201);
  }
});

test("a deleted key is refused from the next request on, and is no longer listed (R110, T7)", async () => {
  const p = await person();
  const { key, id } = (await create(p)).body;
  expect((await use(key)).status).toBe(200);
  const answer = await p.call("DELETE", `${KEYS}/${id}`);
  expect([answer.status, answer.text]).toEqual([204, ""]);
  expect((await use(key)).status).toBe(401);
  expect((await p.call("GET", KEYS)).body).toEqual([]);
  expect(await rowOf("api_keys", id)).toMatchObject({ revoked_at: expect.any(Number) });
  expect((await p.call("DELETE", `${KEYS}/${id}`)).status).toBe(204);
  expect(await auditOf(id)).toEqual(["api_key.created", "api_key.revoked"]);
});

test("deleting another team's key, an unknown or a malformed one changes nothing and says the same (R111, T1)", async () => {
  const [p, other] = [await person(), await person()];
  const { key, id } = (await create(other)).body;
  for (const name of [id, "key_00000000000000000000", "nonsense", "%00"]) {
    expect(await p.call("DELETE", `${KEYS}/${name}`), name).toMatchObject({ status: 204, text: "" });
  }
  expect((await use(key)).status).toBe(200);
  expect(await auditOf(id)).toEqual(["api_key.created"]);
});

test("a key made while its maker is being removed does not outlive that (T7)", async () => {
  const p = await person();
  const known = await principalsOfUser(p.ctx.db, p.userId, p.teamId);
  const { key } = (await create(p)).body;
  expect((await use(key)).status).toBe(200);
  await commitIdentity(p.ctx, known, p.ctx.db.delete(memberships).where(eq(memberships.userId, p.userId)));
  expect((await use(key)).status).toBe(401);
});

test("a team has at most a thousand live keys", async () => {
  const p = await person();
  const fill = `INSERT INTO api_keys (id, team_id, created_by, name, prefix, created_at)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
    SELECT ? || i, ?, 'u', 'n', 'p', 0 FROM n`;
  await env.DB.prepare(fill).bind(p.teamId, p.teamId).run();
  expect(await create(p)).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
  await p.call("DELETE", `${KEYS}/${p.teamId}1`);
  expect((await create(p)).status).toBe(201);
});

test("a key whose row is revoked is dead although its object still has it (T7)", async () => {
  const p = await person();
  const { key, id } = (await create(p)).body;
  await env.DB.prepare("UPDATE api_keys SET revoked_at = 1 WHERE id = ?").bind(id).run();
  expect((await use(key)).status).toBe(401);
});

test("the last use is null at first and then moves on (R108)", async () => {
  const p = await person();
  const { key } = (await create(p)).body;
  const lastUse = async () => (await p.call("GET", KEYS)).body[0].last_used;
  expect(await lastUse()).toBeNull();
  const before = Date.now();
  await use(key);
  await eventually(async () => expect(Date.parse(await lastUse())).toBeGreaterThanOrEqual(before));
});

test("the same Idempotency-Key makes one key and shows it again, and nothing of it is stored in the clear (R6, T10)", async () => {
  const p = await person();
  const headers = { "idempotency-key": "k" };
  const [first, second] = [await create(p, { name: "n" }, headers), await create(p, { name: "n" }, headers)];
  expect(first.status).toBe(201);
  expect(second).toMatchObject({ status: 201, text: first.text });
  expect(await countOf("api_keys", "team_id = ?", p.teamId)).toBe(1);
  const secret = first.body.key.slice(first.body.key_prefix.length);
  for (const name of [p.userId, keyPrincipal(await sha256(first.body.key))]) {
    const kept = await runInDurableObject(env.PRINCIPAL.getByName(name), (_, { storage }) =>
      ["claims", "credentials"].map((table) => storage.sql.exec(`SELECT * FROM ${table}`).toArray()),
    );
    expect(JSON.stringify(kept)).not.toContain(secret);
  }
  const { results } = await env.DB.prepare("SELECT * FROM api_keys, audit_entries").all();
  expect(JSON.stringify(results)).not.toContain(secret);
});

test("a repeat after a crash makes the same key anew, and the one nobody saw is dead (R6)", async () => {
  const { ctx, teamId } = await tenant();
  const ids = (n: number) => (kind: IdKind) => makeId(kind, n, new Uint8Array(10));
  const attempt = () => createApiKey({ ...contextFor(ctx.actor), newId: ids(7), now: () => 7 }, { name: "n" });
  const [lost, shown] = [await attempt(), await attempt()];
  expect(shown.id).toBe(lost.id);
  expect([(await use(lost.key)).status, (await use(shown.key)).status]).toEqual([401, 200]);
  expect(await countOf("api_keys", "team_id = ? AND name = 'n'", teamId)).toBe(1);
  expect(await auditOf(shown.id)).toEqual(["api_key.created"]);
});
