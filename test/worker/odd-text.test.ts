import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { call, countOf, request, rowOf } from "#test/worker/harness";
import { person } from "#test/worker/person";
import { nextAddress } from "#test/worker/seed";

const MEGABYTE = 1024 * 1024;
const HOOK = { url: "https://hooks.example.com/x" };

const packed = async (content: string | Uint8Array): Promise<Uint8Array> => {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

describe("a body that is packed is not unpacked (I2)", () => {
  const targets: [method: "POST" | "PATCH", path: string, open: boolean][] = [
    ["POST", "/v1/auth/login", true],
    ["POST", "/v1/auth/signup", true],
    ["POST", "/v1/hosts/register", true],
    ["PATCH", "/v1/me", false],
    ["POST", "/v1/teams", false],
    ["POST", "/v1/channels", false],
    ["POST", "/api/v1/workspaces", false],
  ];

  test.for(targets)(
    "%s %s refuses ten megabytes of zeros in a few kilobytes, at once",
    async ([method, path, open]) => {
      const bomb = await packed(new Uint8Array(10 * MEGABYTE));
      expect(bomb.byteLength).toBeLessThan(20_000);
      const p = await person();
      const session = { cookie: p.cookie, "x-csrf-token": p.csrf };
      for (const encoding of ["gzip", "x-gzip", "GZIP", "gzip, gzip", "identity"]) {
        const began = performance.now();
        const { status, body } = await call(method, path, {
          body: bomb,
          headers: {
            ...{ "content-type": "application/json", "content-encoding": encoding, "cf-connecting-ip": nextAddress() },
            ...(!open && session),
          },
        });
        expect({ status, code: body.error.code }, encoding).toEqual({ status: 400, code: expect.any(String) });
        expect(performance.now() - began, encoding).toBeLessThan(5_000);
      }
      expect(await rowOf("users", p.userId)).toMatchObject({ name: "Person" });
    },
  );

  test("nor is good JSON, so nothing it says comes true", async () => {
    const p = await person();
    const body = await packed(JSON.stringify({ name: "unpacked" }));
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const answer = await p.call("PATCH", "/v1/me", body, headers);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: "invalid_request" } } });
    expect(await rowOf("users", p.userId)).toMatchObject({ name: "Person" });
  });

  test("a bomb within a bomb is just as small", async () => {
    const p = await person();
    const bomb = await packed(await packed(new Uint8Array(10 * MEGABYTE)));
    const headers = { "content-type": "application/json", "content-encoding": "gzip, gzip" };
    expect((await p.call("POST", "/v1/teams", bomb, headers)).status).toBe(400);
    expect(await countOf("memberships", "user_id = ?", p.userId)).toBe(1);
  });
});

const ODD: Record<string, string> = {
  emoji: "Ada 🚀🦀",
  "a family of joined emoji": "👩‍👩‍👧‍👦 & 🏳️‍🌈",
  "right to left": "עדה שלום مرحبا",
  "marks of direction": "a\u202eb\u2066c\u2069\u200fd",
  "joiners and a mark of order inside": "a\u200d\u200c\u2060\ufeffb",
  "many marks on a letter": `Z${"\u0301".repeat(40)}`,
  "composed and decomposed": "é e\u0301 ﬁ Å \u212b",
  "a number past all that count": "9007199254740993",
  "a number that is not": "-0 1e400 NaN 0x10",
  "the last of Unicode": "\u{10ffff}\ufffe\uffff\ufffd",
  "SQL and markup": `'; DROP TABLE users; -- </script><b>"\\%_`,
  "JSON within": '{"__proto__":{"a":1},"x":"\\u0000"}',
  "words of the language": "__proto__ constructor null undefined",
};

test.for(Object.entries(ODD))("a person's name with %s comes back to the letter (I2)", async ([, name]) => {
  const p = await person();
  expect((await p.call("PATCH", "/v1/me", { name })).status).toBe(204);
  expect((await p.call("GET", "/v1/me")).body.name).toBe(name);
  expect((await rowOf("users", p.userId))?.name).toBe(name);
  // And where others are shown it: what they do is told in their name.
  await p.call("PATCH", `/v1/teams/${p.teamId}`, { name: "Renamed" });
  const [entry] = (await p.call("GET", "/v1/audit-logs?resource_type=team")).body.entries;
  expect(entry.actor_name).toBe(name);
});

test.for(Object.entries(ODD))(
  "a key's and a workspace's name with %s come back to the letter (I2)",
  async ([, name]) => {
    const p = await person();
    const made = await p.call("POST", "/v1/api-keys", { name });
    expect([made.status, made.body.name]).toEqual([201, name]);
    expect((await p.call("GET", "/v1/api-keys")).body[0].name).toBe(name);
    const workspace = await p.call("POST", "/api/v1/workspaces", { name, runtime: "base" });
    expect((await p.call("GET", `/api/v1/workspaces/${workspace.body.id}`)).body.name).toBe(name);
  },
);

test.for([
  ["a separator of lines", "a\u2028b"],
  ["a separator of paragraphs", "a\u2029b"],
  ["NUL", "a\0b"],
  ["an end of line", "a\r\nBcc: b"],
  ["a bell", "a\u0007b"],
  ["a control beyond ASCII", "a\u0085b"],
  ["nothing but spaces", " \u00a0\u2003\ufeff "],
])("a person is not called by %s (I2)", async ([, name]) => {
  const p = await person();
  expect((await p.call("PATCH", "/v1/me", { name })).status).toBe(400);
  expect((await p.call("GET", "/v1/me")).body.name).toBe("Person");
});

test("numbers that are texts stay texts, and numbers are none (I2)", async () => {
  const p = await person();
  expect(
    (await p.call("PATCH", "/v1/me", '{"name":9007199254740993}', { "content-type": "application/json" })).status,
  ).toBe(400);
  expect((await p.call("GET", "/v1/me")).body.name).toBe("Person");
});

test.for(["9007199254740993", "O'Neil-Team_1 @ home", "null", "__proto__", "constructor", "0", "a".repeat(128)])(
  "a team called %s is called just that (R120, A2)",
  async (name) => {
    const p = await person();
    const made = await p.call("POST", "/v1/teams", { name });
    expect([made.status, made.body.name]).toEqual([201, name]);
    const { results } = await env.DB.prepare("SELECT name FROM teams WHERE id = ?").bind(made.body.id).all();
    expect(results).toEqual([{ name }]);
    const teams: { id: string; name: string }[] = (await p.call("GET", "/v1/teams")).body;
    expect(teams.find(({ id }) => id === made.body.id)?.name).toBe(name);
  },
);

test.for(Object.entries(ODD).filter(([, name]) => !/^[A-Za-z0-9 _\-@']+$/.test(name)))(
  "no team is called by %s (R120, A2)",
  async ([, name]) => {
    const p = await person();
    expect((await p.call("POST", "/v1/teams", { name })).status).toBe(400);
    expect((await p.call("PATCH", `/v1/teams/${p.teamId}`, { name })).status).toBe(400);
    expect(await countOf("memberships", "user_id = ?", p.userId)).toBe(1);
    expect((await rowOf("teams", p.teamId))?.name).toBe("Team");
  },
);

test.for<[given: string, stored: string]>([
  ["  Ops Alerts  ", "ops-alerts"],
  ["9007199254740993", "9007199254740993"],
  ["A\tB", "a-b"],
  ["a\u00a0b\u2028c\ufeffd", "a-b-c-d"],
  ["\u2003X.Y_Z-1\u2028", "x.y_z-1"],
  ["\u212aelvin", "kelvin"],
])("a channel called %j is stored as %j (R346)", async ([name, stored]) => {
  const p = await person();
  const made = await p.call("POST", "/v1/channels", { name, provider: "webhook", config: HOOK, events: ["host.up"] });
  expect([made.status, made.body.name]).toEqual([201, stored]);
  expect((await p.call("GET", `/v1/channels/${made.body.id}`)).body.name).toBe(stored);
});

test.for(["ops 🚀", "עדה", "a\u200db", "é", "e\u0301", "İ", "a\0b", "a/b", "ﬁ"])(
  "no channel is called %j (R346)",
  async (name) => {
    const p = await person();
    const body = { name, provider: "webhook", config: HOOK, events: ["host.up"] };
    expect(
      (await request("POST", "/v1/channels", { body, headers: { cookie: p.cookie, "x-csrf-token": p.csrf } })).status,
    ).toBe(400);
    expect(await countOf("channels", "team_id = ?", p.teamId)).toBe(0);
  },
);
