import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { cookie } from "#http/cookies";
import { takesJson } from "#http/operation";
import { call, request } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { nextAddress } from "#test/worker/seed";
import { clears, PASSWORD, withPassword } from "#test/worker/visitor";
import { surfaces } from "../../src/surface-list.ts";

vi.setConfig({ testTimeout: 60_000 });

const NAME = "renamed by a cookie";
const rename = (cookies: string, csrf: string) =>
  call("PATCH", "/v1/me", { body: { name: NAME }, headers: { cookie: cookies, "x-csrf-token": csrf } });
const read = (cookies: string) => call("GET", "/v1/me", { headers: { cookie: cookies } });
const nameOf = async ({ userId }: Person) =>
  (await env.DB.prepare("SELECT name FROM users WHERE id = ?").bind(userId).first<{ name: string }>())?.name;

/** Cookie headers made from a session that is good; none of them may act for it. */
const REFUSED: Record<string, (p: Person, other: Person) => string> = {
  "the same session twice": (p) => `wrenn_sid=${p.token}; wrenn_sid=${p.token}; wrenn_csrf=${p.csrf}`,
  "another session first": (p, other) => `wrenn_sid=${other.token}; ${p.cookie}`,
  "another session last": (p, other) => `${p.cookie}; wrenn_sid=${other.token}`,
  "an empty session first": (p) => `wrenn_sid=; ${p.cookie}`,
  "an empty session last": (p) => `${p.cookie}; wrenn_sid=`,
  "nonsense around it": (p) => `wrenn_sid=x; ${p.cookie}; wrenn_sid=y`,
  "two sessions without a space": (p, other) => `wrenn_sid=${p.token};wrenn_sid=${other.token};wrenn_csrf=${p.csrf}`,
  "two sessions between tabs": (p, other) => `${p.cookie};\twrenn_sid=${other.token}\t`,
  "a comma after the session": (p) => `wrenn_sid=${p.token},x; wrenn_csrf=${p.csrf}`,
  "a comma for a semicolon": (p) => `wrenn_sid=${p.token}, wrenn_csrf=${p.csrf}`,
  quotes: (p) => `wrenn_sid="${p.token}"; wrenn_csrf=${p.csrf}`,
  "one quote": (p) => `wrenn_sid="${p.token}; wrenn_csrf=${p.csrf}`,
  "a space in the session": (p) => `wrenn_sid=${p.token.slice(0, 30)} ${p.token.slice(30)}; wrenn_csrf=${p.csrf}`,
  "a space after the equals sign": (p) => `wrenn_sid= ${p.token}; wrenn_csrf=${p.csrf}`,
  "a space before the equals sign": (p) => `wrenn_sid =${p.token}; wrenn_csrf=${p.csrf}`,
  "a second equals sign": (p) => `wrenn_sid==${p.token}; wrenn_csrf=${p.csrf}`,
  "an equals sign at the end": (p) => `wrenn_sid=${p.token}=; wrenn_csrf=${p.csrf}`,
  "a name that only begins alike": (p) => `wrenn_sid2=${p.token}; wrenn_csrf=${p.csrf}`,
  "a name that only ends alike": (p) => `xwrenn_sid=${p.token}; wrenn_csrf=${p.csrf}`,
  "a name with a prefix": (p) => `__Host-wrenn_sid=${p.token}; wrenn_csrf=${p.csrf}`,
  "a name in other case": (p) => `Wrenn_Sid=${p.token}; WRENN_SID=${p.token}; wrenn_csrf=${p.csrf}`,
  "a name that is encoded": (p) => `wrenn%5Fsid=${p.token}; wrenn_csrf=${p.csrf}`,
  "no name": (p) => `=${p.token}; ${p.token}; wrenn_csrf=${p.csrf}`,
  "another case of the session": (p) => `wrenn_sid=${p.token.toUpperCase()}; wrenn_csrf=${p.csrf}`,
  "the session encoded": (p) => `wrenn_sid=${encodeURIComponent(p.token)}%00; wrenn_csrf=${p.csrf}`,
  "the session cut": (p) => `wrenn_sid=${p.token.slice(0, -1)}; wrenn_csrf=${p.csrf}`,
  "the session and more": (p) => `wrenn_sid=${p.token}0; wrenn_csrf=${p.csrf}`,
  "the session with a letter that is no ASCII": (p) => `wrenn_sid=${p.token}é; wrenn_csrf=${p.csrf}`,
  "the session with a separator and a rocket": (p) => `wrenn_sid=${p.token}\u2028🚀; wrenn_csrf=${p.csrf}`,
  "the session 8 KiB long": (p) => `wrenn_sid=${p.token}${"a".repeat(8 * 1024)}; wrenn_csrf=${p.csrf}`,
  "the session 64 KiB long": (p) => `wrenn_sid=${p.token}${"a".repeat(64 * 1024)}; wrenn_csrf=${p.csrf}`,
  "ten thousand sessions": (p) => `${"wrenn_sid=x; ".repeat(10_000)}${p.cookie}`,
  "the user's id for the secret": (p) => `wrenn_sid=${p.userId}; wrenn_csrf=${p.csrf}`,
  "only semicolons": () => ";".repeat(5_000),
  nothing: () => "",
};

test.for(Object.entries(REFUSED))("%s is no session (T4, R16, I1)", async ([, made]) => {
  const [p, other] = [await person(), await person()];
  const cookies = made(p, other);
  for (const answer of [await read(cookies), await rename(cookies, p.csrf), await rename(cookies, other.csrf)]) {
    expect(answer).toMatchObject({ status: 401, body: { error: { code: "unauthorized" } } });
    // What the browser sent as a session is taken back; where there was none, nothing is.
    const sent = cookies.split(";").some((pair) => pair.trim().startsWith("wrenn_sid="));
    expect(answer.headers.getSetCookie().length > 0 && clears(answer)).toBe(sent);
  }
  expect([await nameOf(p), await nameOf(other)]).toEqual(["Person", "Person"]);
  expect((await read(p.cookie)).status).toBe(200);
});

/** Cookie headers around a good session which do it no harm. */
const TAKEN: Record<string, (p: Person) => string> = {
  "other cookies around it": (p) => `a=1; ${p.cookie}; b=2`,
  "no spaces": (p) => `wrenn_sid=${p.token};wrenn_csrf=${p.csrf}`,
  "many spaces and semicolons": (p) => ` ;; wrenn_sid=${p.token} ;  ; wrenn_csrf=${p.csrf}   ;`,
  "the other order": (p) => `wrenn_csrf=${p.csrf}; wrenn_sid=${p.token}`,
  "names that only look alike": (p) => `wrenn_sid2=x; WRENN_SID=y; xwrenn_sid=z; wrenn_csrf2=x; ${p.cookie}`,
  "8 KiB of another cookie": (p) => `a=${"b".repeat(8 * 1024)}; ${p.cookie}`,
  "64 KiB of another cookie": (p) => `a=${"b".repeat(64 * 1024)}; ${p.cookie}`,
  "another cookie with odd letters": (p) => `a="é\u00ff,=%00%0d%0a"; ${p.cookie}`,
};

test.for(Object.entries(TAKEN))("%s: the session counts", async ([, made]) => {
  const p = await person();
  expect((await read(made(p))).body.user_id).toBe(p.userId);
  expect((await rename(made(p), p.csrf)).status).toBeLessThan(300);
  expect(await nameOf(p)).toBe(NAME);
});

/** Anti-forgery cookies that somebody planted, and what the page then sends as the header. */
const PLANTED: Record<string, (p: Person, other: Person) => [csrfCookies: string, header: string]> = {
  "a value of one's own": () => ["wrenn_csrf=planted", "planted"],
  "another session's value": (_, other) => [`wrenn_csrf=${other.csrf}`, other.csrf],
  "a value before the real one": (p) => [`wrenn_csrf=planted; wrenn_csrf=${p.csrf}`, "planted"],
  "the real one before a value": (p) => [`wrenn_csrf=${p.csrf}; wrenn_csrf=planted`, p.csrf],
  "the real one twice": (p) => [`wrenn_csrf=${p.csrf}; wrenn_csrf=${p.csrf}`, p.csrf],
  "nothing, twice": () => ["wrenn_csrf=", ""],
  "nothing, and no header": () => ["a=b", ""],
  "the real one in the header alone": (p) => ["a=b", p.csrf],
  "the real one in the cookie alone": (p) => [`wrenn_csrf=${p.csrf}`, ""],
  "the real one under another case": (p) => [`WRENN_CSRF=${p.csrf}`, p.csrf],
  "the real one in quotes": (p) => [`wrenn_csrf="${p.csrf}"`, p.csrf],
  "the real one in other case": (p) => [`wrenn_csrf=${p.csrf.toUpperCase()}!`, `${p.csrf.toUpperCase()}!`],
  "64 KiB": () => [`wrenn_csrf=${"a".repeat(64 * 1024)}`, "a".repeat(64 * 1024)],
};

test.for(Object.entries(PLANTED))("a planted anti-forgery cookie: %s (R6, R10, T8)", async ([, made]) => {
  const [p, other] = [await person(), await person()];
  const [planted, header] = made(p, other);
  for (const cookies of [`wrenn_sid=${p.token}; ${planted}`, `${planted}; wrenn_sid=${p.token}`]) {
    expect(await rename(cookies, header)).toMatchObject({ status: 403, body: { error: { code: expect.any(String) } } });
    expect((await read(cookies)).status).toBe(200);
  }
  expect(await nameOf(p)).toBe("Person");
});

test("NUL and ends of line make no request at all (I2)", async () => {
  const p = await person();
  for (const odd of ["\0", "\r", "\n", "\r\nx-api-key: wrn_x"]) {
    expect(() => new Headers({ cookie: `wrenn_sid=${p.token}${odd}x; wrenn_csrf=${p.csrf}` })).toThrow(TypeError);
  }
});

const operations = surfaces.flatMap((surface) =>
  surface.operations.map((op): [string, typeof op] => [`${surface.name}.${op.id}`, op]),
);
const counts = async () => {
  const tables = [
    "users",
    "teams",
    "memberships",
    "api_keys",
    "channels",
    "hosts",
    "workspaces",
    "sessions",
    "sandboxes",
  ];
  const all = await env.DB.batch(tables.map((table) => env.DB.prepare(`SELECT COUNT(*) AS n FROM ${table}`)));
  return all.map(({ results }) => results[0]);
};

test.for(operations)("%s answers no hostile cookie with 5xx, and changes nothing (I1, T4)", async ([, op]) => {
  const [p, other] = [await person({ platformAdmin: true }), await person()];
  const hostile = [
    `wrenn_sid=${other.token}; ${p.cookie}`,
    `${p.cookie}; wrenn_sid=`,
    `wrenn_sid="${p.token}"; wrenn_csrf=${p.csrf}`,
    `wrenn_sid=%00${p.token}%0d%0a; wrenn_csrf=${p.csrf}`,
    `wrenn_sid=${p.token}${"a".repeat(64 * 1024)}; wrenn_csrf=${p.csrf}`,
  ];
  const path = op.path.replaceAll(/\{\w+\}/g, p.teamId);
  const before = await counts();
  for (const cookies of hostile) {
    const address = { "cf-connecting-ip": nextAddress() };
    const answer = await request(op.method.toUpperCase(), path, {
      headers: { ...address, cookie: cookies, "x-csrf-token": p.csrf },
      ...(takesJson(op) && { body: { name: NAME } }),
    });
    await answer.body?.cancel();
    expect(answer.status, cookies.slice(0, 200)).toBeLessThan(500);
    if (op.permission !== null) expect(answer.status).toBeGreaterThanOrEqual(400);
  }
  expect(await counts()).toEqual(before);
  expect([await nameOf(p), (await read(p.cookie)).status]).toEqual(["Person", 200]);
});

/** The attributes of each cookie that an answer sets, by its name. */
const attributes = (lines: string[]) =>
  Object.fromEntries(
    lines.map((line) => {
      const [pair = "", ...rest] = line.split("; ");
      return [pair.slice(0, pair.indexOf("=")), rest.toSorted()];
    }),
  );

test.for([
  ["https://longshore.test", ["Secure"]],
  ["http://localhost:8787", []],
] as const)("a login at %s sets its cookies for this site alone (R41, R42)", async ([origin, secure]) => {
  const { email } = await withPassword();
  const headers = { "cf-connecting-ip": nextAddress() };
  const body = { email, password: PASSWORD };
  const answer = await call("POST", "/v1/auth/login", { origin, headers, body });
  expect(answer.status).toBe(200);
  const life = expect.stringMatching(/^Max-Age=[1-9]\d*$/);
  expect(attributes(answer.headers.getSetCookie())).toEqual({
    wrenn_sid: ["HttpOnly", life, "Path=/", "SameSite=Strict", ...secure],
    wrenn_csrf: [life, "Path=/", "SameSite=Strict", ...secure],
  });
  const refused = await call("GET", "/v1/me", { origin, headers: { cookie: "wrenn_sid=x" } });
  expect(attributes(refused.headers.getSetCookie())).toEqual({
    wrenn_sid: ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Strict", ...secure],
    wrenn_csrf: ["Max-Age=0", "Path=/", "SameSite=Strict", ...secure],
  });
});

test("a cookie's options are what it says", () => {
  const line = cookie("https://x.test/", "a", "b", { maxAgeMs: 60_000, sameSite: "Lax", path: "/v1" });
  expect(line).toBe("a=b; Path=/v1; Max-Age=60; SameSite=Lax; HttpOnly; Secure");
});
