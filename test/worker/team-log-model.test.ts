import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sweepEvents } from "#domain/event/announce";
import { eventually, newTeam } from "#test/worker/control";
import { happen, namesOf, readFeed, teams } from "#test/worker/team-events";

type Feed = Awaited<ReturnType<typeof readFeed>>;
/** A reader over all its connections: of which log, from which number on, and what it got on those that were cut. */
type Reader = { feed: Feed; log: string; from: number; got: string[] };

const commands = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("commit" as const), writers: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 3, arbitrary: fc.constant({ type: "announce" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "sweep" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "read" as const }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("reconnect" as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("evict" as const), keep: fc.boolean() }) },
);
type Command = typeof commands extends fc.Arbitrary<infer T> ? T : never;

class World {
  readonly team = newTeam();
  readonly readers: Reader[] = [];
  #named = 0;

  async run(command: Command): Promise<void> {
    const { readers, team } = this;
    switch (command.type) {
      case "commit": // some are announced, and some lose their announcement in a crash
        await Promise.all(Array.from({ length: command.writers }, () => happen(team, `e${this.#named++}`)));
        return;
      case "announce":
        return teams.team(team).nudge();
      case "sweep":
        return sweepEvents({ teams });
      case "read":
        return void readers.push(await this.#begin());
      case "reconnect": {
        const reader = readers[command.which % Math.max(1, readers.length)];
        if (reader) await this.#reconnect(reader);
        return;
      }
      case "evict":
        await teams.team(team).nudge();
        await evictDurableObject(env.TEAM.getByName(team), { webSockets: command.keep ? "hibernate" : "close" });
        if (!command.keep) for (const reader of readers) await this.#reconnect(reader);
    }
  }

  async #begin(): Promise<Reader> {
    const feed = await readFeed(this.team);
    await eventually(() => expect(feed.live).toBe(true));
    // Events may have come already.
    return { feed, log: feed.log, from: feed.after - feed.events.length, got: [] };
  }

  /** As a client does that was cut: it keeps what it has and sends the last id it saw. */
  async #reconnect(reader: Reader): Promise<void> {
    reader.feed.socket.close();
    reader.got.push(...namesOf(reader.feed.events));
    reader.feed = await readFeed(this.team, `${reader.log}-${reader.from + reader.got.length}`);
  }

  /** Every reader has everything from where it began on, in the order of the commits. */
  async check(): Promise<void> {
    await sweepEvents({ teams });
    const { results } = await env.DB.prepare("SELECT payload FROM team_events WHERE team_id = ? ORDER BY seq")
      .bind(this.team)
      .all<{ payload: string }>();
    const committed = results.map(({ payload }) => JSON.parse(payload).resource.id);
    await eventually(() => {
      for (const { feed, from, got } of this.readers)
        expect([...got, ...namesOf(feed.events)]).toEqual(committed.slice(from));
    });
    for (const { feed } of this.readers) {
      expect(feed.reset).toBeUndefined();
      feed.socket.close();
    }
  }
}

test("S1 whatever is lost on the way, every reader sees every event once and in one order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(commands, { minLength: 5, maxLength: 40 }), async (program) => {
      const world = new World();
      await world.run({ type: "read" });
      for (const command of program) await world.run(command);
      await world.check();
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);
