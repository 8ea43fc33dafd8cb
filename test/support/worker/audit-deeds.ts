import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { newId } from "#kernel/id";
import { eventually, onlineHost, rowOf } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { type Answer, call } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { World } from "#test/worker/seed";

type Actor = { type: "user" | "system"; id: string };

/** A team with people of every kind, and an administrator of the platform who is not in it. */
type Scene = { world: World; owner: Person; member: Person; admin: Person; teamId: string };

type Deed = {
  actor: Actor;
  /** Does it once; answers the id of the thing it was done to. */
  act: () => Promise<string>;
  /** The same again, where that changes nothing more. */
  again?: () => Promise<unknown>;
};

/** Whose log tells of it: the team's, the platform's alone, or that of a team that is then gone. */
type Log = "team" | "platform" | "gone team";
type Case = [what: string, scope: "team" | "admin", log: Log, prepare: (scene: Scene) => Promise<Deed>];

export async function newScene(admin: Person): Promise<Scene> {
  const world = await World.create();
  const { owner } = world;
  const { teamId } = owner;
  return { world, owner, member: await person({ role: "member", teamId }), admin, teamId };
}

/** The answer, which must be a success. */
export async function done(answer: Promise<Answer>): Promise<Answer> {
  const { status, text } = await answer;
  expect({ status, text }).toMatchObject({ status: expect.toSatisfy((n: number) => n >= 200 && n < 300) });
  return answer;
}

const user = ({ userId }: Person): Actor => ({ type: "user", id: userId });
const SYSTEM: Actor = { type: "system", id: "system" };

/** What somebody does to a thing that is there, by one request that may be repeated. */
function request(by: Person, id: string, ...args: Parameters<Person["call"]>): Deed {
  const act = async () => {
    await done(by.call(...args));
    return id;
  };
  return { actor: user(by), act, again: () => by.call(...args) };
}

const once = ({ actor, act }: Deed): Deed => ({ actor, act });

/** What somebody makes; another request would make another thing. */
const create = (by: Person, path: string, body: unknown, idOf = (made: Answer): string => made.body.id): Deed => ({
  actor: user(by),
  act: async () => idOf(await done(by.call("POST", path, body))),
});

const config = { url: "https://hooks.example.com/x" };
const channel = () => ({
  name: newId("channel", Date.now()).slice(-8),
  provider: "webhook",
  config,
  events: ["host.up"],
});

async function colleague({ owner, teamId }: Scene): Promise<{ p: Person; path: string }> {
  const p = await person({ role: "member", teamId: owner.teamId });
  return { p, path: `/v1/teams/${teamId}/members/${p.userId}` };
}

const activity = (p: Person) => `/v1/admin/users/${p.userId}/active`;
const flag = (p: Person) => `/v1/admin/users/${p.userId}/admin`;

/** A team's own host, registered through the API; answers what brings it down and up. */
async function liveHost({ owner, teamId }: Scene) {
  const { body } = await done(owner.call("POST", "/v1/hosts", { type: "byoc", team_id: teamId }));
  const id: string = body.host.id;
  const machine = { arch: "x86_64", cpu_cores: 1, memory_mb: 1024, disk_gb: 1, address: "agent.example.com:443" };
  const registered = await done(
    call("POST", "/v1/hosts/register", { body: { token: body.registration_token, ...machine } }),
  );
  const headers = { "x-host-token": registered.body.token as string };
  const stub = env.HOST.getByName(id);
  const isNow = (status: string) => eventually(async () => expect(await rowOf("hosts", id)).toMatchObject({ status }));
  return {
    down: async () => {
      await runInDurableObject(stub, async (_, { storage }) => {
        storage.sql.exec("UPDATE host SET liveness = json_set(liveness, '$.lastBeatAt', 0)");
        await storage.sync();
      });
      await evictDurableObject(stub);
      await runDurableObjectAlarm(stub);
      await isNow("unreachable");
      return id;
    },
    up: async () => {
      await done(call("POST", `/v1/hosts/${id}/heartbeat`, { headers }));
      await isNow("online");
      return id;
    },
    wake: () => runDurableObjectAlarm(stub),
  };
}

/** A host of the platform that takes the team's sandboxes, and no other. */
async function platformHost({ teamId }: Scene): Promise<FakeAgent> {
  serveFakeAgents();
  await env.DB.prepare("UPDATE teams SET is_byoc = 0 WHERE id = ?").bind(teamId).run();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  return onlineHost();
}

/** A workspace's sandbox; `start` makes its first use. */
async function coldSandbox(scene: Scene) {
  await platformHost(scene);
  const { world, owner } = scene;
  const id = await world.id("sandbox");
  const use = () => owner.call("GET", `/api/v1/sandboxes/${id}/files/entries`);
  const start = async () => {
    await use();
    await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running" }));
    return id;
  };
  return { start, use };
}

const row = (...one: Case): Case => one;

/** What happens in the platform, by the words of the log. */
export const CASES: Case[] = [
  row("api_key.create", "team", "team", async ({ member }) => create(member, "/v1/api-keys", { name: "k" })),
  row("api_key.revoke", "team", "team", async ({ world, owner }) => {
    const id = await world.id("apiKey");
    return request(owner, id, "DELETE", `/v1/api-keys/${id}`);
  }),
  row("channel.create", "team", "team", async ({ owner }) => create(owner, "/v1/channels", channel())),
  row("channel.update", "team", "team", async ({ world, owner }) => {
    const id = await world.id("channel");
    return once(request(owner, id, "PATCH", `/v1/channels/${id}`, { name: "other", events: ["host.down"] }));
  }),
  row("channel.rotate_config", "team", "team", async ({ world, owner }) => {
    const id = await world.id("channel");
    return once(request(owner, id, "PUT", `/v1/channels/${id}/config`, { config }));
  }),
  row("channel.delete", "team", "team", async ({ world, owner }) => {
    const id = await world.id("channel");
    return request(owner, id, "DELETE", `/v1/channels/${id}`);
  }),
  row("team.rename", "team", "team", async ({ owner, teamId }) =>
    once(request(owner, teamId, "PATCH", `/v1/teams/${teamId}`, { name: "Renamed" })),
  ),
  row("member.add", "admin", "team", async ({ owner, teamId }) => {
    const { email, userId } = await person();
    return request(owner, userId, "POST", `/v1/teams/${teamId}/members`, { email });
  }),
  row("member.remove", "admin", "team", async (scene) => {
    const { p, path } = await colleague(scene);
    return request(scene.owner, p.userId, "DELETE", path);
  }),
  row("member.leave", "admin", "team", async (scene) => {
    const { p } = await colleague(scene);
    return request(p, p.userId, "POST", `/v1/teams/${scene.teamId}/leave`);
  }),
  row("member.role_update", "admin", "team", async (scene) => {
    const { p, path } = await colleague(scene);
    return request(scene.owner, p.userId, "PATCH", path, { role: "admin" });
  }),
  row("host.create", "admin", "team", async ({ owner, teamId }) =>
    create(owner, "/v1/hosts", { type: "byoc", team_id: teamId }, ({ body }) => body.host.id),
  ),
  row("host.delete", "admin", "team", async ({ world, owner }) => {
    const id = await world.id("host");
    return request(owner, id, "DELETE", `/v1/hosts/${id}`);
  }),
  row("host.marked_down", "team", "team", async (scene) => {
    const host = await liveHost(scene);
    return { actor: SYSTEM, act: host.down, again: host.wake };
  }),
  row("host.marked_up", "team", "team", async (scene) => {
    const host = await liveHost(scene);
    await host.down();
    return { actor: SYSTEM, act: host.up, again: host.up };
  }),
  row("team.set_byoc", "admin", "team", async ({ admin, teamId }) =>
    request(admin, teamId, "PUT", `/v1/admin/teams/${teamId}/byoc`, { byoc: false }),
  ),
  row("team.delete", "admin", "gone team", async ({ owner, teamId }) =>
    request(owner, teamId, "DELETE", `/v1/teams/${teamId}`),
  ),
  row("team.delete", "admin", "gone team", async ({ admin, teamId }) =>
    request(admin, teamId, "DELETE", `/v1/admin/teams/${teamId}`),
  ),
  row("user.deactivate", "admin", "platform", async ({ admin, member }) =>
    request(admin, member.userId, "PUT", activity(member), { active: false }),
  ),
  row("user.activate", "admin", "platform", async ({ admin, member }) => {
    await done(admin.call("PUT", activity(member), { active: false }));
    return request(admin, member.userId, "PUT", activity(member), { active: true });
  }),
  row("user.grant_admin", "admin", "platform", async ({ admin, member }) =>
    request(admin, member.userId, "PUT", flag(member), { admin: true }),
  ),
  row("user.revoke_admin", "admin", "platform", async ({ admin, member }) => {
    await done(admin.call("PUT", flag(member), { admin: true }));
    return request(admin, member.userId, "PUT", flag(member), { admin: false });
  }),
  row("sandbox.create", "team", "team", async (scene) => {
    // It stays silent, so that nothing else happens to the sandbox.
    (await platformHost(scene)).up = false;
    return create(scene.member, "/v1/capsules", {});
  }),
  row("sandbox.destroy", "team", "team", async ({ world, owner }) => {
    const id = await world.id("sandbox");
    return request(owner, id, "DELETE", `/v1/capsules/${id}`);
  }),
  row("sandbox.destroy", "team", "team", async ({ world, owner }) => {
    const id = await world.id("sandbox");
    const path = `/api/v1/workspaces/${await world.id("workspace")}`;
    const act = async () => {
      await done(owner.call("DELETE", path));
      return id;
    };
    return { actor: user(owner), act, again: () => owner.call("DELETE", path) };
  }),
  row("sandbox.destroy", "team", "team", async (scene) => {
    const { start } = await coldSandbox(scene);
    const id = await start();
    const path = `/v1/hosts/${(await rowOf("sandboxes", id))?.host_id}?force=true`;
    const act = async () => {
      await done(scene.admin.call("DELETE", path));
      return id;
    };
    return { actor: user(scene.admin), act, again: () => scene.admin.call("DELETE", path) };
  }),
  row("sandbox.pause", "team", "team", async (scene) => {
    await platformHost(scene);
    const { id } = (await done(scene.member.call("POST", "/v1/capsules", {}))).body;
    await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running" }));
    return request(scene.member, id, "POST", `/v1/capsules/${id}/pause`);
  }),
  row("sandbox.resume", "team", "team", async (scene) => {
    await platformHost(scene);
    const { id } = (await done(scene.member.call("POST", "/v1/capsules", {}))).body;
    const isNow = (status: string) =>
      eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status }));
    await isNow("running");
    await done(scene.member.call("POST", `/v1/capsules/${id}/pause`));
    await isNow("paused");
    return request(scene.member, id, "POST", `/v1/capsules/${id}/resume`);
  }),
  row("sandbox.start", "team", "team", async (scene) => {
    const { start, use } = await coldSandbox(scene);
    return { actor: SYSTEM, act: start, again: use };
  }),
  row("sandbox.destroy", "team", "gone team", async (scene) => {
    const { start } = await coldSandbox(scene);
    const id = await start();
    const path = `/v1/admin/teams/${scene.teamId}`;
    const act = async () => {
      await done(scene.admin.call("DELETE", path));
      await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));
      return id;
    };
    return { actor: SYSTEM, act, again: () => scene.admin.call("DELETE", path) };
  }),
];
