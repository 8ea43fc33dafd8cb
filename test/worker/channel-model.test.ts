import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { Reply } from "#test/node/receiver-values";
import { eventOf, happen, inTeam, logOf, passWaits, webhook } from "#test/worker/channels";
import { person } from "#test/worker/person";

const QUIET = { timeout: 60_000, interval: 20 };
const EVENTS = ["capsule.create", "capsule.pause", "host.up"] as const;
const failures: Reply[] = [
  { status: 500 },
  { status: 404 },
  { drop: true },
  { status: 429, headers: { "retry-after": "40" } },
];
const reply = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Reply>({}) },
  { weight: 2, arbitrary: fc.constantFrom(...failures) },
);
const channel = fc.record({
  events: fc.uniqueArray(fc.constantFrom(...EVENTS), { minLength: 1 }),
  replies: fc.array(reply, { minLength: 1, maxLength: 12 }),
});
const step = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...EVENTS) },
  { weight: 1, arbitrary: fc.constant("evict" as const) },
  { weight: 1, arbitrary: fc.constant("wait" as const) },
);
const world = fc.record({
  channels: fc.array(channel, { minLength: 1, maxLength: 4 }),
  steps: fc.array(step, { minLength: 3, maxLength: 10 }),
});

type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

async function play({ channels, steps }: World): Promise<void> {
  const p = await person();
  const hooks = await Promise.all(
    channels.map(async ({ events, replies }) => {
      const hook = { ...(await webhook(p, events)), events };
      await hook.box.reply(...replies);
      return hook;
    }),
  );
  const happened: { type: string; id: string }[] = [];
  for (const one of steps) {
    if (one === "evict") {
      await p.ctx.teams.team(p.teamId).nudge(); // one that does not run cannot be evicted
      await evictDurableObject(env.TEAM.getByName(p.teamId));
    } else if (one === "wait") await passWaits(p.teamId);
    else {
      happened.push({ type: one, id: `sb_${happened.length}` });
      await happen(p, eventOf(p.teamId, one, `sb_${happened.length - 1}`));
    }
  }
  await vi.waitFor(async () => {
    await passWaits(p.teamId);
    expect(await inTeam(p.teamId, "SELECT COUNT(*) AS n FROM deliveries WHERE state = 'pending'")).toEqual([{ n: 0 }]);
  }, QUIET);
  for (const { id, box, events } of hooks) {
    const log = await logOf(p, id, "?limit=200");
    const came = (await box.received()).map(({ headers, body }) => ({
      delivery: headers["x-wrenn-delivery"],
      resource: JSON.parse(body).resource.id as string,
    }));
    const wanted = happened.filter(({ type }) => (events as string[]).includes(type)).map((event) => event.id);
    expect(log).toHaveLength(wanted.length);
    expect(new Set(came.map(({ resource }) => resource))).toEqual(new Set(wanted));
    for (const delivery of log) {
      const mine = came.filter((one) => one.delivery === delivery.id);
      // Once for each attempt, and all of them of one event.
      expect(mine).toHaveLength(Number(delivery.attempts));
      expect(new Set(mine.map(({ resource }) => resource)).size).toBe(1);
      expect(Number(delivery.attempts)).toBeLessThanOrEqual(3);
      if (delivery.state === "failed") expect(delivery.attempts).toBe(3);
      else expect(delivery).toMatchObject({ state: "delivered", last_status: 200 });
    }
  }
}

test("whatever receivers answer and whenever the object is evicted, each event reaches each channel that wants it, or fails three times (W1, R356, R359)", async () => {
  await fc.assert(fc.asyncProperty(world, play), { numRuns: 12, endOnFailure: true });
}, 120_000);
