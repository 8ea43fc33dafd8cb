import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { decodePoints } from "#domain/metrics/codec";
import type { SandboxState } from "#domain/sandbox/state";
import type { SandboxStatus } from "#domain/sandbox/status";
import { newId } from "#kernel/id";
import { DAY, HOUR, MINUTE, SECOND } from "#kernel/time";
import type { MetricPoint } from "#protocol/host-agent";
import { eventually, newSandbox, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { rowOf, type Tenant, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

let agent: FakeAgent;
let team: Tenant;
let id: string;

beforeEach(async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  agent = await onlineHost();
  team = await tenant();
  id = await newSandbox(team.teamId);
});

const object = () => env.SANDBOX.getByName(id);
const path = (range?: string) => `/v1/capsules/${id}/metrics${range === undefined ? "" : `?range=${range}`}`;
const read = async (range?: string) => (await team.call("GET", path(range))).body;
const running = async () => expect(await object().start(team.teamId)).toMatchObject({ ok: true });
const stopped = () => eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));

/** Puts the sandbox into a status, as its object knows it after its next start. */
async function setStatus(status: SandboxStatus): Promise<void> {
  await runInDurableObject(object(), async (_, { storage }) => {
    const [row] = storage.sql.exec<{ state: string }>("SELECT state FROM sandbox").toArray();
    const state: SandboxState = { ...JSON.parse(row!.state), status };
    storage.sql.exec("UPDATE sandbox SET state = ?", JSON.stringify(state));
    await storage.sync();
  });
  await evictDurableObject(object());
}

const point = (atMs: number, cpuPct = 12.345): MetricPoint => ({ atMs, cpuPct, memBytes: 1000, diskBytes: 2000 });
/** Points that end now, oldest first. */
const history = (count: number, stepMs: number, end = Date.now()) =>
  Array.from({ length: count }, (_, n) => point(end - (count - 1 - n) * stepMs));
/** Tiers that are full. */
const fullTiers = () => ({
  "10m": history(1200, SECOND / 2),
  "2h": history(240, 30 * SECOND),
  "24h": history(288, 5 * MINUTE),
});

type Kept = { tier: string; points: MetricPoint[]; dropAt: number | null };
const kept = (): Promise<Kept[]> =>
  runInDurableObject(object(), (_, { storage }) =>
    storage.sql
      .exec<{ tier: string; points: ArrayBuffer; drop_at: number | null }>("SELECT * FROM metrics ORDER BY tier")
      .toArray()
      .map((row) => ({ tier: row.tier, points: decodePoints(new Uint8Array(row.points)), dropAt: row.drop_at })),
  );

test.for([
  ["5m", 601, 500],
  ["10m", 1200, 500],
  ["1h", 121, 30_000],
  ["2h", 240, 30_000],
  ["6h", 73, 300_000],
  ["12h", 145, 300_000],
  ["24h", 288, 300_000],
] as const)(
  "%s of a running capsule is its host's own tier, cut to the window, oldest first (R265, R266, R267, R270)",
  async ([range, count, stepMs]) => {
    await running();
    agent.measured = fullTiers();
    const { status, body } = await team.call("GET", path(range));
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(["sandbox_id", "range", "points"]);
    expect([body.sandbox_id, body.range]).toEqual([id, range]);
    // The window may have moved on by a point since.
    expect([count, count - 1, count - 2, count - 3]).toContain(body.points.length);
    expect(Object.keys(body.points[0])).toEqual(["timestamp_unix", "cpu_pct", "mem_bytes", "disk_bytes"]);
    const times = body.points.map((one: { timestamp_unix: number }) => one.timestamp_unix);
    expect([...times].sort()).toEqual(times);
    expect(times.at(-1) - times[0]).toBeCloseTo(((times.length - 1) * stepMs) / SECOND, -1);
    expect(agent.seen.at(-1)).toMatchObject({ method: "GET", path: "/metrics", generation: 1 });
  },
);

test("the default is ten minutes; two points may share a second (R265, A34)", async () => {
  await running();
  const second = Math.floor(Date.now() / SECOND) * SECOND;
  agent.measured = { "10m": [point(second - 500), point(second), point(second + 500)] };
  const { range, points } = await read();
  expect(range).toBe("10m");
  expect(points.slice(1)).toEqual(
    [1, 2].map(() => ({ timestamp_unix: second / SECOND, cpu_pct: 12.35, mem_bytes: 1000, disk_bytes: 2000 })),
  );
});

test("another range is refused (R265)", async () => {
  for (const range of ["", "1m", "10M", "30d", "10m&range=1y"]) {
    expect(await team.call("GET", path(range)), range).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_request" } },
    });
  }
});

test.for(["starting", "pausing", "resuming", "stopping", "stopped", "error", "missing", "pending"] as const)(
  "a capsule that is %s has no metrics (R270, R273)",
  async (status) => {
    agent.measured = fullTiers();
    await running();
    await object().stop(team.teamId);
    await stopped();
    await setStatus(status);
    const answer = await team.call("GET", path());
    expect(answer).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  },
);

test("a capsule that is not there, or another team's, has none either (R273, R17, T1)", async () => {
  await running();
  const missing = await team.call("GET", `/v1/capsules/${newId("sandbox", Date.now())}/metrics`);
  const foreign = await (await tenant()).call("GET", path());
  expect([missing.status, foreign.status, foreign.body]).toEqual([404, 404, missing.body]);
});

test("a host that does not answer is said to be away", async () => {
  await running();
  agent.up = false;
  expect(await team.call("GET", path())).toMatchObject({ status: 503, body: { error: { code: "host_unavailable" } } });
});

test("an administrator reads those of any team, others are refused (R390, R391, R402, R409)", async () => {
  await running();
  agent.measured = fullTiers();
  const admin = await person({ platformAdmin: true });
  const url = `/v1/admin${path().slice("/v1".length)}`;
  expect((await admin.call("GET", `${url}?range=24h`)).body).toMatchObject({ sandbox_id: id, range: "24h" });
  expect((await admin.call("GET", `${url}?range=1y`)).status).toBe(400);
  expect((await (await person({ teamId: team.teamId })).call("GET", url)).status).toBe(403);
  expect((await team.call("GET", url)).status).toBe(401);
  const nothing = `/v1/admin/capsules/${newId("sandbox", Date.now())}/metrics`;
  expect((await admin.call("GET", nothing)).status).toBe(404);
});

test("what a stopped sandbox used goes on in its next life, within the window (R271)", async () => {
  await running();
  agent.measured = { "24h": [point(Date.now() - 25 * HOUR), point(Date.now() - 2 * HOUR, 40)] };
  await object().stop(team.teamId);
  await stopped();
  expect(await kept()).toMatchObject([{ tier: "24h", points: [{ cpuPct: 12.35 }, { cpuPct: 40 }], dropAt: null }]);
  await running();
  agent.measured = { "24h": [point(Date.now() - HOUR, 60)] };
  const cpu = (body: { points: { cpu_pct: number }[] }) => body.points.map((one) => one.cpu_pct);
  expect(cpu(await read("24h"))).toEqual([40, 60]);
  await object().stop(team.teamId);
  await stopped();
  expect((await kept())[0]?.points.map(({ cpuPct }) => cpuPct)).toEqual([40, 60]);
});

test("of a destroyed capsule the last day is kept for 30 days, unseen, and then dropped (R270, R272)", async () => {
  await running();
  agent.measured = fullTiers();
  await object().destroy(team.teamId);
  await stopped();
  const [only, ...others] = await kept();
  expect(others).toEqual([]);
  expect(only).toMatchObject({ tier: "24h", dropAt: expect.any(Number) });
  expect(only!.points).toHaveLength(288);
  expect(Math.abs(only!.dropAt! - Date.now() - 30 * DAY)).toBeLessThan(MINUTE);
  expect((await team.call("GET", path("24h"))).status).toBe(404);
  await runInDurableObject(object(), async (_, { storage }) => {
    expect(await storage.getAlarm()).toBe(only!.dropAt);
    storage.sql.exec("UPDATE metrics SET drop_at = ?", Date.now());
  });
  await runDurableObjectAlarm(object());
  expect(await kept()).toEqual([]);
});

test("what is kept of a sandbox that is destroyed when its host is gone is its last day too (R272)", async () => {
  await running();
  agent.measured = fullTiers();
  await object().stop(team.teamId);
  await stopped();
  expect((await kept()).map(({ tier }) => tier)).toEqual(["10m", "24h", "2h"]);
  await env.DB.prepare("DELETE FROM hosts WHERE id = ?").bind(agent.hostId).run();
  await object().destroy(team.teamId);
  await eventually(async () => expect(await kept()).toMatchObject([{ tier: "24h", dropAt: expect.any(Number) }]));
});

const pause = async () => {
  expect((await team.call("POST", `/v1/capsules/${id}/pause`)).status).toBe(202);
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "paused" }));
};
const resume = async () => {
  expect((await team.call("POST", `/v1/capsules/${id}/resume`)).status).toBe(202);
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running" }));
};

test("a pause keeps all tiers, and a paused capsule shows them without its host, however long it lasts (R270, R271, R272)", async () => {
  await running();
  // The last point was an hour ago: the windows end there.
  const end = Date.now() - HOUR;
  agent.measured = { "10m": history(1200, SECOND / 2, end), "2h": history(240, 30 * SECOND, end), "24h": [point(end)] };
  await pause();
  expect((await kept()).map(({ tier, points }) => [tier, points.length])).toEqual([
    ["10m", 1200],
    ["24h", 1],
    ["2h", 240],
  ]);
  agent.up = false;
  const counts = Object.fromEntries(
    await Promise.all(
      ["5m", "10m", "1h", "2h", "24h"].map(async (range) => [range, (await read(range)).points.length] as const),
    ),
  );
  expect(counts).toEqual({ "5m": 601, "10m": 1200, "1h": 121, "2h": 240, "24h": 1 });
});

test("a pause that the host made by itself keeps them too, but not when it is told late (R270, R271, R339)", async () => {
  await running();
  agent.measured = { "24h": [point(Date.now() - HOUR)] };
  const report = (generation: number) => object().report(agent.hostId, { event: "sandbox.auto_paused", generation });
  expect(await report(0)).toMatchObject({ ok: true });
  expect(await kept()).toEqual([]);
  expect(await report(1)).toMatchObject({ ok: true });
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "paused" }));
  agent.up = false;
  expect((await read("24h")).points).toHaveLength(1);
});

test("points of before an earlier pause stay, also when the host forgot them (R271, R272)", async () => {
  const cpu = async () => (await read("24h")).points.map((one: { cpu_pct: number }) => one.cpu_pct);
  await running();
  const first = point(Date.now() - 3 * HOUR, 30);
  agent.measured = { "24h": [first] };
  await pause();
  await resume();
  agent.measured = { "24h": [point(Date.now() - 2 * HOUR, 20), point(Date.now() - HOUR, 10)] };
  expect(await cpu()).toEqual([30, 20, 10]);
  await pause();
  expect(await cpu()).toEqual([30, 20, 10]);
  await resume();
  // The host still has all of it: nothing shows twice.
  agent.measured["24h"] = [first, ...(agent.measured["24h"] ?? [])];
  expect(await cpu()).toEqual([30, 20, 10]);
});

test("a capsule that was paused before anything was measured has none (R273)", async () => {
  await running();
  await pause();
  expect(await team.call("GET", path())).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
});

test("a paused capsule counts with half its memory (R278)", async () => {
  const loads = () =>
    runInDurableObject(env.TEAM.getByName(team.teamId), (_, { storage }) =>
      storage.sql.exec("SELECT running, vcpus, memory_mb FROM usage_sandboxes").toArray(),
    );
  await running();
  await eventually(async () => expect(await loads()).toEqual([{ running: 1, vcpus: 1, memory_mb: 512 }]));
  await pause();
  await eventually(async () => expect(await loads()).toEqual([{ running: 0, vcpus: 0, memory_mb: 256 }]));
});

test("a host that tells nothing does not keep a sandbox from stopping", async () => {
  await running();
  agent.measured = { "10m": "nonsense" as never };
  await object().destroy(team.teamId);
  await stopped();
  expect(agent.wiped.has(id)).toBe(true);
  expect(await kept()).toEqual([]);
});

test("what sandboxes count for reaches their team (R278)", async () => {
  const current = async () => {
    const { series } = await env.TEAM.getByName(team.teamId).stats("5m", Date.now() - 10 * MINUTE);
    return series.at(-1);
  };
  const reported = (running: number) =>
    eventually(() =>
      runInDurableObject(env.TEAM.getByName(team.teamId), (_, { storage }) => {
        expect(storage.sql.exec("SELECT running FROM usage_sandboxes WHERE id = ?", id).toArray()).toEqual([
          { running },
        ]);
        // The change is as old as a sample, so that the next look sees it.
        storage.sql.exec("UPDATE usage_changes SET at = at - 10000");
      }),
    );
  await running();
  await reported(1);
  expect(await current()).toMatchObject({ running: 1, vcpus: 1, memoryMb: 512 });
  agent.up = false;
  await object().nudge();
  await reported(0);
  expect(await current()).toMatchObject({ running: 0, vcpus: 0, memoryMb: 0 });
});

test("the sandboxes of a deleted team count for nothing any more", async () => {
  const owner = await person();
  id = await newSandbox(owner.teamId);
  expect(await object().start(owner.teamId)).toMatchObject({ ok: true });
  const reported = (running: number) =>
    eventually(() =>
      runInDurableObject(env.TEAM.getByName(owner.teamId), (_, { storage }) => {
        expect(storage.sql.exec("SELECT running FROM usage_sandboxes").toArray()).toEqual([{ running }]);
      }),
    );
  await reported(1);
  expect((await owner.call("DELETE", `/v1/teams/${owner.teamId}`)).status).toBe(204);
  await reported(0);
});

test("a sandbox that ran before anything was counted is counted as soon as its object is", async () => {
  await running();
  const rows = () =>
    runInDurableObject(env.TEAM.getByName(team.teamId), (_, { storage }) =>
      storage.sql.exec("SELECT running FROM usage_sandboxes").toArray(),
    );
  await eventually(async () => expect(await rows()).toEqual([{ running: 1 }]));
  await runInDurableObject(env.TEAM.getByName(team.teamId), (_, { storage }) => {
    storage.sql.exec("DELETE FROM usage_sandboxes");
  });
  await runInDurableObject(object(), async (_, { storage }) => {
    storage.sql.exec("DELETE FROM reported_load");
    await storage.sync();
  });
  await evictDurableObject(object());
  await object().get(team.teamId);
  await runDurableObjectAlarm(object());
  await eventually(async () => expect(await rows()).toEqual([{ running: 1 }]));
});
