import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { searchUsers } from "#domain/user/search-users";
import { call, contextFor } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

const search = (p: Person, email: string, headers = {}) =>
  p.call("GET", `/v1/users/search?email=${encodeURIComponent(email)}`, undefined, headers);

test("accounts are found by the beginning of their e-mail, ten at most, by e-mail (R115, R116)", async () => {
  const p = await person();
  const names = Array.from({ length: 12 }, (_, i) => `anna${String.fromCharCode(108 - i)}@many.test`);
  const found = [];
  for (const email of names) found.push({ user_id: (await person({ email })).userId, email });
  const exact = await search(p, "annac@many");
  expect([exact.status, exact.body]).toEqual([200, found.filter(({ email }) => email === "annac@many.test")]);
  expect((await search(p, "annac@many.test")).body).toHaveLength(1);
  expect((await search(p, "annac@many.test.")).body).toEqual([]);
  expect((await search(p, "nna@many")).body).toEqual([]);
  for (let i = 0; i < 12; i++) await person({ email: `team@${String.fromCharCode(108 - i)}.many.test` });
  const { body } = await search(p, "team@");
  expect(body.map(({ email }: { email: string }) => email)).toEqual(
    Array.from({ length: 10 }, (_, i) => `team@${String.fromCharCode(97 + i)}.many.test`),
  );
  expect(Object.keys(body[0]).sort()).toEqual(["email", "user_id"]);
});

test.for(["", "a", "anna", "@", "a@", "@a", " a@ ", "%%%", `${"a".repeat(600)}@`])(
  "the prefix %j is refused (R114, R116)",
  async (prefix) => {
    const refused = { status: 400, body: { error: { code: "invalid_request" } } };
    expect(await search(await person(), prefix)).toMatchObject(refused);
  },
);

test("a search without a prefix is refused, and one without a session too (R114)", async () => {
  expect((await (await person()).call("GET", "/v1/users/search")).status).toBe(400);
  expect((await call("GET", "/v1/users/search?email=anna%40")).status).toBe(401);
});

test("wildcards are letters like others, and case does not matter (R116, R117)", async () => {
  const p = await person();
  for (const email of ["w_x@wild.test", "wax@wild.test", "w%x@wild.test", "100%@wild.test"]) await person({ email });
  const emails = async (prefix: string) => (await search(p, prefix)).body.map(({ email }: { email: string }) => email);
  expect(await emails("w_x@")).toEqual(["w_x@wild.test"]);
  expect(await emails("w%x@")).toEqual(["w%x@wild.test"]);
  expect(await emails("%@wild")).toEqual([]);
  expect(await emails("100%@")).toEqual(["100%@wild.test"]);
  expect(await emails(" WAX@Wild ")).toEqual(["wax@wild.test"]);
  expect(await emails("wax@'; DROP TABLE users; --")).toEqual([]);
});

test.for(["inactive", "disabled", "deleted"])("an account that is %s is not found (R117)", async (status) => {
  const [p, hidden] = [await person(), await person({ email: `${status}@status.test` })];
  expect((await search(p, `${status}@`)).body).toHaveLength(1);
  await env.DB.prepare("UPDATE users SET status = ? WHERE id = ?").bind(status, hidden.userId).run();
  expect((await search(p, `${status}@`)).body).toEqual([]);
});

test("a search finds exactly what begins with the prefix, whatever the letters (R115, R116)", async () => {
  const ctx = contextFor({ ...systemActor(), kind: "user" });
  const letter = fc.constantFrom("a", "b", "%", "_", "é", "\u{1F600}", "-", "z", "\u{FFFF}");
  const word = fc.array(letter, { minLength: 1, maxLength: 4 }).map((letters) => letters.join(""));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(word, { minLength: 1, maxLength: 6 }), word, async (locals, prefix) => {
      const host = crypto.randomUUID();
      const emails = locals.map((local) => `${host}@${local}.test`.normalize("NFC"));
      for (const email of emails) await person({ email });
      const wanted = `${host}@${prefix}`.normalize("NFC");
      const found = (await searchUsers(ctx, wanted)).map(({ email }) => email);
      expect(found.toSorted()).toEqual(emails.filter((email) => email.startsWith(wanted)).toSorted());
    }),
    { numRuns: 20 },
  );
});

test("who asks too often must wait, by address and by user, also as another session (I4)", async () => {
  const p = await person();
  const device = await p.login();
  const from = (n: number) => ({ "cf-connecting-ip": `198.51.100.${n}` });
  let asked = 0;
  const ask = () => (asked++ % 2 ? p : device).call("GET", "/v1/users/search?email=anna%40", undefined, from(asked));
  let refused = await ask();
  while (refused.status === 200 && asked < 200) refused = await ask();
  expect(asked).toBeGreaterThan(60);
  expect(refused).toMatchObject({ status: 429, body: { error: { code: "rate_limited" } } });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  // Adding to a team tells as much, so it is counted together.
  const add = await p.call("POST", `/v1/teams/${p.teamId}/members`, { email: "anna@many.test" }, from(253));
  expect(add.status).toBe(429);
  expect((await search(await person(), "anna@", from(252))).status).toBe(200);
});
