import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { newId } from "#kernel/id";
import { auditOf } from "#test/worker/control";
import { call, countOf, rowOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

afterEach(() => vi.restoreAllMocks());

const TEAMS = "/v1/teams";
const unknownTeam = () => newId("team", Date.now());
const create = async (p: Person, name = "New") => (await p.call("POST", TEAMS, { name })).body;

test("a new team is its creator's, with a slug, and the active team stays (R119, R121)", async () => {
  const p = await person();
  const { status, body } = await p.call("POST", TEAMS, {
    name: "It's a-team_1 @x",
    role: "member",
    slug: "x",
    id: "y",
  });
  expect([status, body]).toEqual([
    201,
    {
      id: expect.stringMatching(/^team_[0-9a-z]{20}$/),
      name: "It's a-team_1 @x",
      slug: expect.stringMatching(/^[0-9a-f]{6}-[0-9a-f]{6}$/),
      created_at: expect.any(String),
      role: "owner",
    },
  ]);
  expect(await rowOf("teams", body.id)).toMatchObject({ name: body.name, slug: body.slug, deleted_at: null });
  expect(await rowOf("memberships", body.id, "team_id")).toMatchObject({
    user_id: p.userId,
    role: "owner",
    is_default: 0,
  });
  expect(await auditOf(body.id)).toEqual(["team.created"]);
  expect(await rowOf("audit_entries", body.id, "subject_id")).toMatchObject({ team_id: body.id, scope: "admin" });
  expect((await p.call("GET", `${TEAMS}/${p.teamId}`)).status).toBe(200);
});

test("a repeat under one Idempotency-Key makes one team (R6)", async () => {
  const p = await person();
  const send = () => p.call("POST", TEAMS, { name: "n" }, { "idempotency-key": "k" });
  const [first, second] = [await send(), await send()];
  expect(second).toMatchObject({ status: 201, text: first.text });
  expect(await countOf("memberships", "user_id = ?", p.userId)).toBe(2);
});

test("one user owns at most two hundred teams that live", async () => {
  const p = await person();
  const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199)";
  const [team, member] = [
    `INSERT INTO teams (id, name, slug, created_at, updated_at) ${numbers} SELECT ? || i, 'n', ? || i, 0, 0 FROM n`,
    `INSERT INTO memberships (team_id, user_id, role, created_at) ${numbers} SELECT ? || i, ?, 'owner', 0 FROM n`,
  ];
  for (const query of [team, member]) await env.DB.prepare(query).bind(p.teamId, p.userId).run();
  expect((await p.call("POST", TEAMS, { name: "n" })).status).toBe(400);
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(`${p.teamId}1`).run();
  expect((await p.call("POST", TEAMS, { name: "n" })).status).toBe(201);
});

test("a name has 1 to 128 characters of its alphabet (R120)", async () => {
  const p = await person();
  const fits = fc.stringMatching(/^[A-Za-z0-9_@'-][A-Za-z0-9 _\-@']{0,126}[A-Za-z0-9_@'-]$/);
  await fc.assert(
    fc.asyncProperty(fits, async (name) => {
      expect(await p.call("POST", TEAMS, { name })).toMatchObject({ status: 201, body: { name } });
    }),
    { numRuns: 15 },
  );
  expect(await p.call("POST", TEAMS, { name: " two words " })).toMatchObject({ body: { name: "two words" } });
});

test.for(["", " ", "n".repeat(129), "a!", "a\n", "\ta", "ä", "a/b", "a\u0000", "<b>", "👍", 1, null, undefined])(
  "the name %j is refused (R120, R124)",
  async (name) => {
    const p = await person();
    const refused = { status: 400, body: { error: { code: "invalid_request" } } };
    expect(await p.call("POST", TEAMS, { name })).toMatchObject(refused);
    expect(await p.call("PATCH", `${TEAMS}/${p.teamId}`, { name })).toMatchObject(refused);
    expect(await rowOf("teams", p.teamId)).toMatchObject({ name: "Team" });
    expect(await countOf("memberships", "user_id = ?", p.userId)).toBe(1);
  },
);

test("a slug that a deleted team had is never given again (R122)", async () => {
  const p = await person();
  const dead = await create(p);
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(dead.id).run();
  const random = crypto.getRandomValues.bind(crypto);
  const halves = (dead.slug as string).split("-").map((half) => Number.parseInt(half, 16));
  let taken = 0;
  vi.spyOn(crypto, "getRandomValues").mockImplementation(((array: Uint8Array) => {
    random(array);
    const half = array.length === 3 ? halves[taken] : undefined;
    if (half !== undefined) {
      array.set([half >> 16, (half >> 8) & 255, half & 255]);
      taken++;
    }
    return array;
  }) as typeof crypto.getRandomValues);
  const { slug } = await create(p);
  expect(taken).toBe(2);
  expect(slug).not.toBe(dead.slug);
  const insert = env.DB.prepare(
    "INSERT INTO teams (id, name, slug, created_at, updated_at) VALUES ('t', 'n', ?, 0, 0)",
  );
  await expect(insert.bind(dead.slug).run()).rejects.toThrow("UNIQUE");
});

test("teams are listed for those who are in them, with the role, without the deleted ones (R118, T1)", async () => {
  const [p, owner] = [await person(), await person()];
  const insert = "INSERT INTO memberships (team_id, user_id, role, created_at) VALUES (?, ?, ?, ?)";
  await env.DB.prepare(insert).bind(owner.teamId, p.userId, "viewer", Date.now()).run();
  const own = await create(p);
  const dead = await create(p);
  await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(dead.id).run();
  const { status, body } = await p.call("GET", TEAMS);
  expect(status).toBe(200);
  const roles = Object.fromEntries(body.map((team: { id: string; role: string }) => [team.id, team.role]));
  // This contract has no word for a viewer.
  expect(roles).toEqual({ [p.teamId]: "owner", [owner.teamId]: "member", [own.id]: "owner" });
  expect((await call("GET", TEAMS)).status).toBe(401);
});

test("the active team is shown with its members, to every role (R123, R129)", async () => {
  const owner = await person();
  const admin = await person({ teamId: owner.teamId, role: "admin" });
  const viewer = await person({ teamId: owner.teamId, role: "viewer" });
  for (const one of [owner, admin, viewer]) {
    const { status, body } = await one.call("GET", `${TEAMS}/${owner.teamId}`);
    expect(status).toBe(200);
    expect(Object.keys(body.team).sort()).toEqual(["created_at", "id", "name", "slug"]);
    expect(body.members).toEqual([
      { user_id: owner.userId, email: owner.email, role: "owner", joined_at: expect.any(String) },
      { user_id: admin.userId, email: admin.email, role: "admin", joined_at: expect.any(String) },
      { user_id: viewer.userId, email: viewer.email, role: "member", joined_at: expect.any(String) },
    ]);
    expect((await one.call("GET", `${TEAMS}/${owner.teamId}/members`)).body).toEqual(body.members);
  }
});

test("people who deleted their account are no members", async () => {
  const owner = await person();
  const gone = await person({ teamId: owner.teamId, role: "member" });
  await env.DB.prepare("UPDATE users SET status = 'deleted' WHERE id = ?").bind(gone.userId).run();
  expect((await owner.call("GET", `${TEAMS}/${owner.teamId}`)).body.members).toHaveLength(1);
});

const ON_A_TEAM = [
  ["GET", "", undefined],
  ["PATCH", "", { name: "n" }],
  ["DELETE", "", undefined],
  ["POST", "/leave", undefined],
  ["GET", "/members", undefined],
  ["POST", "/members", { email: "a@example.test" }],
  ["PATCH", "/members/usr_00000000000000000000", { role: "admin" }],
  ["DELETE", "/members/usr_00000000000000000000", undefined],
] as const;

test.for(ON_A_TEAM)(
  "%s /v1/teams/{id}%s works for the active team alone (R17, R18, R123)",
  async ([method, path, body]) => {
    const [p, other] = [await person(), await person()];
    const inactive = await create(p);
    const status = async (id: string) => (await p.call(method, `${TEAMS}/${id}${path}`, body)).status;
    expect([await status(other.teamId), await status(inactive.id)]).toEqual([403, 403]);
    expect(await status(unknownTeam())).toBe(404);
    await env.DB.prepare("UPDATE teams SET deleted_at = 1 WHERE id = ?").bind(inactive.id).run();
    expect(await status(inactive.id)).toBe(404);
    const malformed = method === "GET" && path === "" ? 404 : 400;
    expect([await status("nonsense"), await status(p.userId)]).toEqual([malformed, malformed]);
    expect((await call(method, `${TEAMS}/${p.teamId}${path}`, { body })).status).toBe(401);
    expect(await rowOf("teams", other.teamId)).toMatchObject({ name: "Team", deleted_at: null });
  },
);

test("owners and administrators rename the team; its slug stays (R124, T3)", async () => {
  const owner = await person();
  const before = await rowOf("teams", owner.teamId);
  for (const role of ["owner", "admin", "member", "viewer"] as const) {
    const one = role === "owner" ? owner : await person({ teamId: owner.teamId, role });
    const answer = await one.call("PATCH", `${TEAMS}/${owner.teamId}`, { name: role, slug: "x", id: "y" });
    const may = role === "owner" || role === "admin";
    expect([answer.status, (await rowOf("teams", owner.teamId))?.name], role).toEqual(
      may ? [204, role] : [403, "admin"],
    );
  }
  expect(await rowOf("teams", owner.teamId)).toMatchObject({ slug: before?.slug, created_at: before?.created_at });
  expect(await auditOf(owner.teamId)).toEqual(["team.renamed", "team.renamed"]);
  expect(await rowOf("audit_entries", owner.teamId, "subject_id")).toMatchObject({
    scope: "team",
    actor_id: owner.userId,
  });
});
