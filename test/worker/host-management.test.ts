import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { byocTeam, eventually, newSandbox, onlineHost } from "#test/worker/control";
import { serveFakeAgents } from "#test/worker/fake-agent";
import { call, countOf, rowOf } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

const UNKNOWN = "host_0000000000abcdefghjk";
const specs = { arch: "x86_64", cpu_cores: 2, memory_mb: 4096, disk_gb: 20 };

const admin = () => person({ platformAdmin: true });
const invite = (p: Person, body: unknown = { type: "regular" }) => p.call("POST", "/v1/hosts", body);
const register = (token: string, address: string) =>
  call("POST", "/v1/hosts/register", { body: { token, address, ...specs } });

/** The people of a team that may bring its own hosts, with one such host. */
async function ownHosts() {
  const teamId = await byocTeam();
  const people = { owner: await person({ teamId }), admin: await person({ teamId, role: "admin" }) };
  const member = await person({ teamId, role: "member" });
  const made = await invite(people.owner, { type: "byoc", team_id: teamId, provider: "bare-metal" });
  return { teamId, ...people, member, made, hostId: made.body.host.id as string };
}

test("a platform administrator adds a host, and its agent registers with the token (R305, R312, R313)", async () => {
  const a = await admin();
  const made = await invite(a, { type: "regular", availability_zone: "eu-west" });
  expect(made).toMatchObject({ status: 201, body: { host: { status: "pending", address: null } } });
  expect(made.body.host).toMatchObject({ type: "regular", team_id: null, arch: null, last_heartbeat_at: null });
  const { id } = made.body.host;
  expect(await rowOf("hosts", id)).toMatchObject({ availability_zone: "eu-west", created_by: a.userId });
  expect((await register(made.body.registration_token, "127.0.0.1:9300")).status).toBe(201);
  expect((await a.call("GET", `/v1/hosts/${id}`)).body).toMatchObject({ status: "online", cpu_cores: 2 });
});

test.for<[string, unknown, number]>([
  ["no type", {}, 400],
  ["another type", { type: "shared" }, 400],
  ["byoc without a team", { type: "byoc" }, 400],
  ["a team that does not exist", { type: "byoc", team_id: "team_0000000000abcdefghjk" }, 404],
])("adding a host with %s is refused (R305, R307)", async ([, body, status]) => {
  expect((await invite(await admin(), body)).status).toBe(status);
});

test("a host of the platform is for its administrators, a team's own for those who manage the team (R306, R307, R308)", async () => {
  const { teamId, owner, admin: teamAdmin, member } = await ownHosts();
  const stranger = await person();
  const own = { type: "byoc", team_id: teamId };
  for (const p of [owner, teamAdmin, await admin()]) expect((await invite(p, own)).status).toBe(201);
  for (const p of [member, stranger]) expect((await invite(p, own)).status).toBe(403);
  for (const p of [owner, member]) expect((await invite(p)).status).toBe(403);
  expect((await invite(stranger, { type: "byoc", team_id: stranger.teamId })).status).toBe(403);
  expect(await countOf("hosts", "team_id = ?", stranger.teamId)).toBe(0);
});

test("people see the hosts of their team, administrators of the platform all of them (R310, R311)", async () => {
  const ours = await ownHosts();
  const theirs = await ownHosts();
  const a = await admin();
  const regular = (await invite(a)).body.host.id;
  const idsOf = async (p: Person) => (await p.call("GET", "/v1/hosts")).body.map((host: { id: string }) => host.id);
  expect(await idsOf(ours.member)).toEqual([ours.hostId]);
  expect(await idsOf(await person())).toEqual([]);
  expect(await idsOf(a)).toEqual(expect.arrayContaining([ours.hostId, theirs.hostId, regular]));
  const missing = await ours.owner.call("GET", `/v1/hosts/${UNKNOWN}`);
  expect(missing.status).toBe(404);
  for (const id of [theirs.hostId, regular]) {
    for (const part of ["", "/tags", "/delete-preview"]) {
      const answer = await ours.owner.call("GET", `/v1/hosts/${id}${part}`);
      expect(answer).toMatchObject({ status: 404, text: missing.text });
    }
  }
});

test("another registration token ends the one before, and is given only until the host registers (R319, R320)", async () => {
  const { owner, member, hostId, made } = await ownHosts();
  const again = await owner.call("POST", `/v1/hosts/${hostId}/token`);
  expect(again).toMatchObject({ status: 201, body: { host: { id: hostId, status: "pending" } } });
  const address = "agent.example.com:443";
  expect((await register(made.body.registration_token, address)).status).toBe(401);
  expect((await register(again.body.registration_token, address)).status).toBe(201);
  expect((await owner.call("POST", `/v1/hosts/${hostId}/token`)).status).toBe(409);
  const foreign = (await invite(await admin())).body.host.id;
  for (const [p, id] of [
    [member, hostId],
    [owner, foreign],
    [owner, UNKNOWN],
  ] as const) {
    expect((await p.call("POST", `/v1/hosts/${id}/token`)).status).toBe(403);
  }
});

test("tags are added once, listed in order and taken off (R331)", async () => {
  const { owner, member, hostId } = await ownHosts();
  const tags = `/v1/hosts/${hostId}/tags`;
  for (const tag of ["gpu", "eu west", "gpu"]) expect((await owner.call("POST", tags, { tag })).status).toBe(204);
  expect(await member.call("GET", tags)).toMatchObject({ status: 200, body: ["eu west", "gpu"] });
  expect((await owner.call("POST", tags, { tag: " " })).status).toBe(400);
  expect((await member.call("POST", tags, { tag: "x" })).status).toBe(403);
  expect((await member.call("DELETE", `${tags}/gpu`)).status).toBe(403);
  expect((await owner.call("DELETE", `${tags}/eu%20west`)).status).toBe(204);
  expect((await owner.call("DELETE", `${tags}/nothing`)).status).toBe(204);
  expect((await owner.call("GET", tags)).body).toEqual(["gpu"]);
  expect((await owner.call("POST", `/v1/hosts/${UNKNOWN}/tags`, { tag: "x" })).status).toBe(404);
});

test("a host without sandboxes is deleted, and its tokens with it (R327, R328, R329, R323)", async () => {
  const { owner, member, hostId, made } = await ownHosts();
  const { token, refresh_token } = (await register(made.body.registration_token, "agent.example.com:443")).body;
  await owner.call("POST", `/v1/hosts/${hostId}/tags`, { tag: "x" });
  const regular = (await invite(await admin())).body.host.id;
  for (const [p, id] of [
    [member, hostId],
    [owner, regular],
    [owner, UNKNOWN],
  ] as const) {
    expect((await p.call("DELETE", `/v1/hosts/${id}`)).status).toBe(403);
  }
  expect((await owner.call("DELETE", `/v1/hosts/${hostId}`)).status).toBe(204);
  expect((await owner.call("GET", `/v1/hosts/${hostId}`)).status).toBe(404);
  expect(await rowOf("hosts", hostId)).toBeNull();
  expect(await countOf("host_tags", "host_id = ?", hostId)).toBe(0);
  expect(await countOf("audit_entries", "subject_id = ? AND action = 'host.deleted' AND result = 'ok'", hostId)).toBe(
    1,
  );
  const beat = await call("POST", `/v1/hosts/${hostId}/heartbeat`, { headers: { "x-host-token": token } });
  expect(beat).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  expect((await call("POST", "/v1/hosts/auth/refresh", { body: { refresh_token } })).status).toBe(401);
  expect((await (await admin()).call("DELETE", `/v1/hosts/${hostId}`)).status).toBe(404);
});

test("a host with sandboxes is deleted only by force, which destroys just what the preview shows (R325, R326, R330)", async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const [a, owner] = [await admin(), await person()];
  const agent = await onlineHost();
  const ids = [await newSandbox(owner.teamId), await newSandbox(owner.teamId)];
  for (const id of ids) expect(await env.SANDBOX.getByName(id).start(owner.teamId)).toMatchObject({ ok: true });
  await eventually(async () => expect(await countOf("sandboxes", "host_id = ?", agent.hostId)).toBe(2));
  const path = `/v1/hosts/${agent.hostId}`;
  const preview = await a.call("GET", `${path}/delete-preview`);
  expect(preview).toMatchObject({ status: 200, body: { host: { id: agent.hostId }, sandbox_ids: [...ids].sort() } });
  const refused = await a.call("DELETE", path);
  const sandbox_ids = [...ids].sort();
  const error = { code: "host_has_sandboxes", message: expect.any(String), sandbox_ids };
  expect(refused).toMatchObject({ status: 409, body: { error, sandbox_ids } });
  expect(await rowOf("hosts", agent.hostId)).toMatchObject({ status: "online" });
  expect((await a.call("DELETE", `${path}?force=true`)).status).toBe(204);
  expect((await a.call("GET", path)).status).toBe(404);
  for (const id of ids) {
    await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));
  }
});

test("repeating a creation under one Idempotency-Key adds one host, and keeps its token for nobody to read (T10)", async () => {
  const a = await admin();
  const send = () => a.call("POST", "/v1/hosts", { type: "regular" }, { "idempotency-key": "once" });
  const [first, second] = [await send(), await send()];
  expect(second.body).toEqual(first.body);
  expect(await countOf("hosts", "created_by = ?", a.userId)).toBe(1);
  const kept = await runInDurableObject(env.PRINCIPAL.getByName(a.userId), (_, { storage }) =>
    storage.sql.exec<{ answer: string }>("SELECT answer FROM claims").toArray(),
  );
  expect(kept).toHaveLength(1);
  expect(JSON.stringify(kept)).not.toContain(first.body.registration_token);
});
