import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { floorTo, SAMPLE_MS } from "#domain/usage/line";
import { type Load, maximum, NO_LOAD, plus } from "#domain/usage/load";
import type { LoadReport } from "#domain/usage/ports";
import { SPAN_MS } from "#domain/usage/values";
import { DAY, HOUR, iso, MINUTE, SECOND } from "#kernel/time";
import { TeamUsage } from "#objects/team/usage";
import { UsageTable } from "#objects/team/usage-table";
import { newTeam } from "#test/worker/control";
import { tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

const STATS = "/v1/capsules/stats";
const USAGE = "/v1/capsules/usage";
const today = () => iso(Date.now()).slice(0, 10);
const daysAgo = (n: number) => iso(Date.now() - n * DAY).slice(0, 10);

const full = (vcpus = 1, memoryMb = 512): Load => ({ running: 1, vcpus, memoryMb });
const report = (teamId: string, sandboxId: string, seq: number, at: number, load: Load) =>
  env.TEAM.getByName(teamId).reportLoad({ sandboxId, seq, at, load });

/** A team that was made some time ago. */
async function oldTeam(ageMs = 100 * DAY) {
  const team = await tenant();
  await env.DB.prepare("UPDATE teams SET created_at = ? WHERE id = ?")
    .bind(Date.now() - ageMs, team.teamId)
    .run();
  return team;
}

test("a team that never ran anything has zero samples, and none before it was there (R275, R276, R279, A47)", async () => {
  const team = await oldTeam(20 * MINUTE);
  const { status, body } = await team.call("GET", STATS);
  expect([status, body.range]).toEqual([200, "1h"]);
  expect(body.current).toEqual({
    running_count: 0,
    vcpus_reserved: 0,
    memory_mb_reserved: 0,
    sampled_at: iso(floorTo(Date.now(), SAMPLE_MS)),
  });
  expect(body.peaks).toEqual({ running_count: 0, vcpus: 0, memory_mb: 0 });
  expect([40, 41]).toContain(body.series.labels.length);
  expect(body.series.running).toEqual(body.series.labels.map(() => 0));
  const fresh = await oldTeam(-MINUTE);
  expect((await fresh.call("GET", STATS)).body).toMatchObject({
    current: { sampled_at: null },
    series: { labels: [] },
  });
});

test.for([
  ["5m", 3, 30, 31],
  ["1h", 30, 120, 121],
  ["6h", 180, 120, 121],
  ["24h", 720, 120, 121],
  ["30d", 21_600, 120, 121],
] as const)("stats of %s have buckets of %i s (R274, R277, R279)", async ([range, seconds, least, most]) => {
  const team = await oldTeam();
  await report(team.teamId, "sb_1", 1, Date.now() - 40 * DAY, full(2, 1024));
  const { body } = await team.call("GET", `${STATS}?range=${range}`);
  expect(body.range).toBe(range);
  const { labels, running, vcpus, memory_mb } = body.series;
  expect(labels.length).toBeGreaterThanOrEqual(least);
  expect(labels.length).toBeLessThanOrEqual(most);
  for (const label of labels) expect(Date.parse(label) % (seconds * SECOND)).toBe(0);
  expect([...labels].sort()).toEqual(labels);
  expect([running, vcpus, memory_mb]).toEqual([labels.map(() => 1), labels.map(() => 2), labels.map(() => 1024)]);
  expect(body.current).toMatchObject({ running_count: 1, vcpus_reserved: 2, memory_mb_reserved: 1024 });
  expect(body.peaks).toEqual({ running_count: 1, vcpus: 2, memory_mb: 1024 });
});

test("another range is refused, of stats as of usage (R274, R281, R282)", async () => {
  const team = await tenant();
  const bad = ["range=2h", "range=", "range=1H", "range=5m&range=1y"].map((query) => `${STATS}?${query}`);
  const days = ["from=2026-02-30", "from=yesterday", "to=2026-1-1", "from=", "from=2026-01-01T00:00:00Z"];
  const spans = ["from=2026-03-02&to=2026-03-01", "from=2026-01-01&to=2026-04-04", "to=2020-01-01"];
  bad.push(...[...days, ...spans].map((query) => `${USAGE}?${query}`));
  for (const path of bad) {
    expect(await team.call("GET", path), path).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_request" } },
    });
  }
  const longest = await team.call("GET", `${USAGE}?from=2026-01-01&to=2026-04-03`);
  expect([longest.status, longest.body.points.length]).toEqual([200, 93]);
});

test("usage is by day, oldest first, with zeros, and by default of 30 days and today (R281, R283, R285, A48)", async () => {
  const team = await oldTeam();
  const midnight = floorTo(Date.now(), DAY);
  // An hour over midnight three days ago, and one from noon on the day after.
  await report(team.teamId, "sb_1", 1, midnight - 3 * DAY - 30 * MINUTE, full(2, 100));
  await report(team.teamId, "sb_1", 2, midnight - 3 * DAY + 30 * MINUTE, NO_LOAD);
  await report(team.teamId, "sb_2", 1, midnight - 2 * DAY + 12 * HOUR, full(1, 10));
  await report(team.teamId, "sb_2", 2, midnight - 2 * DAY + 13 * HOUR, NO_LOAD);
  const { body } = await team.call("GET", USAGE);
  expect([body.from, body.to, body.points.length]).toEqual([daysAgo(30), today(), 31]);
  expect(body.points.map(({ date }: { date: string }) => date)).toEqual(
    Array.from({ length: 31 }, (_, n) => daysAgo(30 - n)),
  );
  const used = body.points.filter(({ cpu_minutes }: { cpu_minutes: number }) => cpu_minutes > 0);
  expect(used).toEqual([
    { date: daysAgo(4), cpu_minutes: 60, ram_mb_minutes: 3000 },
    { date: daysAgo(3), cpu_minutes: 60, ram_mb_minutes: 3000 },
    { date: daysAgo(2), cpu_minutes: 60, ram_mb_minutes: 600 },
  ]);
  const one = await team.call("GET", `${USAGE}?from=${daysAgo(3)}&to=${daysAgo(3)}`);
  expect(one.body).toEqual({ from: daysAgo(3), to: daysAgo(3), points: [used[1]] });
});

test("today grows as it goes on (R284)", async () => {
  const team = await oldTeam();
  const begin = Math.max(Date.now() - 10 * MINUTE, floorTo(Date.now(), DAY));
  await report(team.teamId, "sb_1", 1, begin, full(4, 1000));
  const { points } = (await team.call("GET", `${USAGE}?from=${today()}&to=${today()}`)).body;
  const minutes = (Date.now() - begin) / MINUTE;
  expect(points).toHaveLength(1);
  expect(points[0].cpu_minutes).toBeGreaterThan(4 * minutes - 1);
  expect(points[0].cpu_minutes).toBeLessThanOrEqual(4 * minutes + 0.001);
  expect(points[0].ram_mb_minutes).toBeCloseTo(points[0].cpu_minutes * 250, 0);
});

test("a team sees its own load alone (R280, T1)", async () => {
  const [mine, theirs] = [await oldTeam(), await oldTeam()];
  await report(theirs.teamId, "sb_1", 1, Date.now() - HOUR, full());
  expect((await mine.call("GET", STATS)).body.peaks.running_count).toBe(0);
  expect((await theirs.call("GET", STATS)).body.peaks.running_count).toBe(1);
  const browser = await person({ teamId: theirs.teamId, role: "viewer" });
  expect((await browser.call("GET", STATS)).body.current.running_count).toBe(1);
  const sum = (points: { cpu_minutes: number }[]) => points.reduce((all, one) => all + one.cpu_minutes, 0);
  expect(sum((await mine.call("GET", USAGE)).body.points)).toBe(0);
  expect(sum((await browser.call("GET", USAGE)).body.points)).toBeGreaterThan(59);
});

test("a repeated report counts once, one that is known to be old not at all, and all survive the object", async () => {
  const team = await oldTeam();
  const at = Date.now() - 10 * MINUTE;
  for (let n = 0; n < 3; n++) await report(team.teamId, "sb_1", 7, at, full());
  await report(team.teamId, "sb_1", 6, at + MINUTE, NO_LOAD);
  await evictDurableObject(env.TEAM.getByName(team.teamId));
  await report(team.teamId, "sb_1", 7, at, full());
  const { current, peaks } = (await team.call("GET", STATS)).body;
  expect([current.running_count, peaks.running_count]).toEqual([1, 1]);
});

test("nothing wakes the object of a team for its samples", async () => {
  const team = await oldTeam();
  await report(team.teamId, "sb_1", 1, Date.now() - HOUR, full());
  await team.call("GET", STATS);
  await runInDurableObject(env.TEAM.getByName(team.teamId), async (_, { storage }) => {
    expect(await storage.getAlarm()).toBeNull();
  });
});

test("changes are kept for 60 days and what was made of them for good (R276, R279, R284)", async () => {
  const object = env.TEAM.getByName(newTeam());
  await runInDurableObject(object, async (_, { storage }) => {
    const usage = new TeamUsage(storage);
    const begin = floorTo(Date.now(), DAY);
    usage.report({ sandboxId: "sb_1", seq: 1, at: begin, load: full(2, 10) }, begin);
    usage.report({ sandboxId: "sb_1", seq: 2, at: begin + HOUR, load: NO_LOAD }, begin + HOUR);
    const peaks = (now: number) => usage.stats("30d", begin - DAY, now).peaks.running;
    expect([peaks(begin + 2 * HOUR), peaks(begin + 29 * DAY), peaks(begin + 31 * DAY)]).toEqual([1, 1, 0]);
    const later = begin + 80 * DAY;
    usage.report({ sandboxId: "sb_2", seq: 1, at: later, load: full() }, later);
    expect(storage.sql.exec("SELECT at FROM usage_changes").toArray()).toEqual([{ at: later }]);
    expect(storage.sql.exec("SELECT id FROM usage_sandboxes").toArray()).toEqual([{ id: "sb_2" }]);
    const day = begin / DAY;
    expect(usage.days(day, day + 1, later)).toEqual([
      { day, vcpuMs: 2 * HOUR, mbMs: 10 * HOUR },
      { day: day + 1, vcpuMs: 0, mbMs: 0 },
    ]);
    expect(usage.stats("1h", 0, later + MINUTE).current.running).toBe(1);
  });
});

type Told = { sandbox: number; at: number; load: Load; lateMs: number };

/** Reports of three sandboxes over two days, as they are told: in order within a sandbox, late by up to nine hours. */
const history = fc
  .array(
    fc.record({
      sandbox: fc.integer({ min: 0, max: 2 }),
      at: fc.integer({ min: 0, max: 2 * DAY }),
      load: fc.constantFrom(NO_LOAD, full(1, 512), full(4, 2048), { ...NO_LOAD, memoryMb: 256 }),
      lateMs: fc.constantFrom(0, 0, 5 * SECOND, 9 * HOUR),
    }),
    { maxLength: 30 },
  )
  .map((all): (Told & { told: number })[] => {
    const newest = [0, 0, 0];
    const ordered = all
      .sort((a, b) => a.at - b.at)
      .map((one) => {
        newest[one.sandbox] = Math.max(newest[one.sandbox] ?? 0, one.at + one.lateMs);
        return { ...one, told: newest[one.sandbox] ?? 0 };
      });
    return ordered.sort((a, b) => a.told - b.told);
  });

test("whatever is told late or in between, the object finds what a sampler would have (R278, R279, R284)", async () => {
  const begin = floorTo(Date.now(), DAY) - 10 * DAY;
  const end = begin + 3 * DAY;
  await fc.assert(
    fc.asyncProperty(history, async (told) => {
      const truth = (time: number) =>
        [0, 1, 2]
          .map((n) => told.filter((one) => one.sandbox === n && begin + one.at <= time).at(-1)?.load ?? NO_LOAD)
          .reduce(plus);
      await runInDurableObject(env.TEAM.getByName(newTeam()), async (_, { storage }) => {
        const usage = new TeamUsage(storage);
        for (const [n, { sandbox, at, load, told: now }] of told.entries()) {
          const one: LoadReport = { sandboxId: `sb_${sandbox}`, seq: n + 1, at: begin + at, load };
          usage.report(one, begin + now);
          if (n % 5 === 0) usage.stats("30d", begin, begin + now);
        }
        const expected = new Map<number, Load>();
        for (let time = begin; time <= end; time += SAMPLE_MS) {
          const span = floorTo(time, SPAN_MS);
          expected.set(span, maximum(expected.get(span) ?? NO_LOAD, truth(time)));
        }
        const { series, peaks } = usage.stats("30d", begin, end);
        expect(series).toEqual([...expected].map(([at, load]) => ({ at, ...load })));
        expect(peaks).toEqual([...expected.values()].reduce(maximum, NO_LOAD));
      });
    }),
    { numRuns: 25 },
  );
});

test("a table that holds nothing is empty", async () => {
  await runInDurableObject(env.TEAM.getByName(newTeam()), async (_, { storage }) => {
    const table = new UsageTable(storage.sql);
    expect(table.line(0, 1)).toEqual({ before: NO_LOAD, changes: [] });
    expect(table.spans(0, Date.now()).size).toBe(0);
  });
});
