import { expect, test } from "vitest";
import { follow } from "#test/worker/streams";
import { letterToken, PASSWORD, post, withPassword } from "#test/worker/visitor";

const SOON_MS = 5_000;
const NEW = "an even better password";
type P = Awaited<ReturnType<typeof withPassword>>;

async function opened(headers: Record<string, string>) {
  const stream = await follow("/v1/events/stream", headers);
  await stream.until((text) => text.includes("connected"));
  return stream;
}

/** What ends a user's sessions, and whether their keys end too. */
const ENDS: [what: string, keysToo: boolean, end: (p: P) => Promise<number>][] = [
  [
    "another password",
    false,
    async (p) => (await p.call("POST", "/v1/me/password", { current_password: PASSWORD, new_password: NEW })).status,
  ],
  [
    "a reset of the password",
    false,
    async (p) => {
      await post("/v1/me/password/reset", { email: p.email });
      const token = await letterToken(p.email, "password_reset");
      return (await post("/v1/me/password/reset/confirm", { token, new_password: NEW })).status;
    },
  ],
  ["the end of the account", true, async (p) => (await p.call("DELETE", "/v1/me", { confirmation: p.email })).status],
];

test.for(ENDS)("streams end within five seconds of %s (R48, T7)", async ([, keysToo, end]) => {
  const [p, stranger] = [await withPassword(), await withPassword()];
  const other = await p.login();
  const { key } = (await p.call("POST", "/v1/api-keys", { name: "k" })).body;
  const sessions = [await opened({ cookie: p.cookie }), await opened({ cookie: other.cookie })];
  const [keyStream, theirs] = [await opened({ "x-api-key": key }), await opened({ cookie: stranger.cookie })];
  expect(await end(p)).toBe(204);
  for (const stream of keysToo ? [...sessions, keyStream] : sessions) {
    expect(await stream.ended(SOON_MS)).toContain("the credential ended");
  }
  expect((await stranger.call("GET", "/v1/me")).status).toBe(200);
  if (!keysToo) await keyStream.close();
  await theirs.close();
});
