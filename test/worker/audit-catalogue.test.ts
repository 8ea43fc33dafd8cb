import { beforeAll, expect, test } from "vitest";
import { CASES, done, newScene } from "#test/worker/audit-deeds";
import { eventually } from "#test/worker/control";
import { type Person, person } from "#test/worker/person";

type Entry = Record<string, unknown> & { id: string };

let administrator: Person;
beforeAll(async () => {
  administrator = await person({ platformAdmin: true });
});

/** Newest entries that somebody is shown about a thing, except refused attempts. */
async function entriesOf(reader: Person, id: string, path = "/v1/audit-logs"): Promise<Entry[]> {
  const { body } = await done(reader.call("GET", `${path}?limit=200`));
  return body.entries.filter((one: Entry) => one.resource_id === id && one.status === "success");
}
const everyEntryOf = (id: string) => entriesOf(administrator, id, "/v1/admin/audit-logs");
const newest = async () => (await administrator.call("GET", "/v1/admin/audit-logs?limit=200")).body.entries as Entry[];

test.for(CASES)(
  "R386 T12 %s writes one entry, of scope %s, in the log of the %s",
  async ([what, scope, log, prepare]) => {
    const scene = await newScene(administrator);
    const { actor, act, again } = await prepare(scene);
    const before = new Set((await newest()).map(({ id }) => id));
    const subject = await act();
    const isNew = ({ id }: Entry) => !before.has(id);

    const written = await eventually(async () => {
      const found = (await everyEntryOf(subject)).filter(isNew);
      expect(found).toHaveLength(1);
      return found[0] as Entry;
    });
    const [resource_type, action] = what.split(".");
    const { team_id, ...shown } = written;
    expect(shown).toMatchObject({ resource_type, action, scope, actor_type: actor.type, actor_id: actor.id });
    expect(team_id).toBe(log === "platform" ? null : scene.teamId);

    const toTeam = log === "team" ? [shown] : [];
    const stranger = await person();
    if (log !== "gone team") expect((await entriesOf(scene.owner, subject)).filter(isNew)).toEqual(toTeam);
    if (log === "team") {
      const seen = (await entriesOf(scene.member, subject)).filter(isNew);
      expect(seen).toEqual(scope === "team" ? toTeam : []);
    }
    expect(await entriesOf(stranger, subject)).toEqual([]);

    if (again) await Promise.all([again(), again()]);
    expect((await everyEntryOf(subject)).filter(isNew)).toHaveLength(1);
  },
);

test("R386 T12 of two who delete a host at once one is noted", async () => {
  const { world, owner } = await newScene(administrator);
  const id = await world.id("host");
  await Promise.all(Array.from({ length: 4 }, () => owner.call("DELETE", `/v1/hosts/${id}`)));
  expect((await everyEntryOf(id)).filter(({ action }) => action === "delete")).toHaveLength(1);
});
