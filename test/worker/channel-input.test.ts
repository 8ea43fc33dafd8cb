import fc from "fast-check";
import { expect, test } from "vitest";
import { PROVIDERS } from "#domain/channel/values";
import { person } from "#test/worker/person";

const odd = fc.constantFrom(
  ...[
    "",
    " ",
    "\u0000",
    "__proto__",
    "../../x",
    "a\r\nb: c",
    "😀",
    "\u202e",
    "null",
    "%",
    "x".repeat(3_000),
    "[::1]",
    "//",
  ],
  ...[
    "https://hooks.example.com/x",
    "http://[",
    "https://exa\u0000mple.com",
    "https://example.com:99999/",
    "!r:m",
    "1:a",
  ],
);
const text = fc.oneof(odd, fc.string({ unit: "binary", maxLength: 40 }));
const loose = (value: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 5, arbitrary: value }, fc.jsonValue({ maxDepth: 2 }));
const FIELDS = ["webhook_url", "url", "secret", "bot_token", "chat_id", "homeserver_url", "access_token", "room_id"];
const config = fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), odd), loose(text), { maxKeys: 9 });
const body = fc.record(
  {
    name: loose(text),
    provider: loose(fc.constantFrom(...PROVIDERS)),
    config: loose(config),
    events: loose(fc.uniqueArray(fc.constantFrom("capsule.create", "host.up", "x"), { maxLength: 3 })),
  },
  { requiredKeys: [] },
);

test("hostile input to channels is stored or refused, and never breaks (I1, R341, R352)", async () => {
  const p = await person();
  const made = await p.call("POST", "/v1/channels", {
    ...{ name: "own", provider: "webhook", config: { url: "https://example.com/" }, events: ["host.up"] },
  });
  const path = `/v1/channels/${made.body.id}`;
  await fc.assert(
    fc.asyncProperty(body, text, async (input, id) => {
      const answers = [
        await p.call("POST", "/v1/channels", input),
        await p.call("PATCH", path, input),
        await p.call("PUT", `${path}/config`, input),
        await p.call(
          "GET",
          `/v1/channels/${encodeURIComponent(id.toWellFormed())}/deliveries?cursor=${encodeURIComponent(id.toWellFormed())}`,
        ),
        await p.call("POST", `${path}/deliveries/${encodeURIComponent(id.toWellFormed())}/redeliver`),
      ];
      for (const { status, body: answer } of answers) {
        expect([200, 201, 400, 404, 409, 429]).toContain(status);
        if (status >= 400) expect(answer).toEqual({ error: { code: expect.any(String), message: expect.any(String) } });
      }
      const listed = await p.call("GET", "/v1/channels");
      expect(listed.status).toBe(200);
    }),
    { numRuns: 60 },
  );
}, 120_000);
