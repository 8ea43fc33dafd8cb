import { afterEach, expect, test, vi } from "vitest";
import { sha256 } from "#kernel/digest";
import { HOUR, SECOND } from "#kernel/time";
import { call } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { clears, doneTo, PASSWORD, visitor, withPassword } from "#test/worker/visitor";

afterEach(() => vi.restoreAllMocks());

const me = (b: Pick<Person, "call">) => b.call("GET", "/v1/me");
const sessionsOf = async (b: Pick<Person, "call">) => (await b.call("GET", "/v1/me/sessions")).body.sessions;

test("logout ends the session, and only that one, and clears the cookies (R45, R46)", async () => {
  const p = await person();
  const other = await p.login();
  expect((await call("POST", "/v1/auth/logout")).status).toBe(401);
  expect((await call("POST", "/v1/auth/logout", { headers: { cookie: p.cookie } })).status).toBe(403);
  const answer = await p.call("POST", "/v1/auth/logout");
  expect(answer.status).toBe(204);
  expect(clears(answer)).toBe(true);
  expect((await me(p)).status).toBe(401);
  expect((await me(other)).status).toBe(200);
  expect(await doneTo(p.userId)).toEqual(["user.logged_out"]);
});

test("logout-all ends every session of the user, and of nobody else (R47)", async () => {
  const [p, bystander] = [await person(), await person()];
  const others = [await p.login(), await p.login()];
  expect((await call("POST", "/v1/auth/logout-all", { headers: { cookie: p.cookie } })).status).toBe(403);
  const answer = await p.call("POST", "/v1/auth/logout-all");
  expect(answer.status).toBe(204);
  expect(clears(answer)).toBe(true);
  for (const one of [p, ...others]) expect((await me(one)).status).toBe(401);
  expect((await me(bystander)).status).toBe(200);
});

test("sessions are listed with where they began, one of them current, for their user alone (R50, R51, R53)", async () => {
  const [p, stranger] = [await withPassword(), await person()];
  const long = visitor();
  const agent = `Mozilla/${"5".repeat(400)}`;
  await long.post("/v1/auth/login", { email: p.email, password: PASSWORD }, { "user-agent": agent });
  const sessions = await sessionsOf(p);
  expect(sessions).toHaveLength(2);
  const current = sessions.filter((one: { current: boolean }) => one.current);
  expect(current).toEqual([expect.objectContaining({ id: await sha256(p.token), user_agent: "test" })]);
  const [other] = sessions.filter((one: { current: boolean }) => !one.current);
  expect(other).toMatchObject({ ip_address: long.address, user_agent: agent.slice(0, 300) });
  for (const one of sessions) {
    expect(Object.keys(one).sort()).toEqual([
      "created_at",
      "current",
      "expires_at",
      "id",
      "ip_address",
      "last_seen_at",
      "user_agent",
    ]);
    expect(Date.parse(one.expires_at) - Date.parse(one.created_at)).toBe(24 * HOUR);
  }
  expect(await sessionsOf(stranger)).toHaveLength(1);
});

test("a session that has ended is not listed, unused or after its whole life (R43, R44, R53)", async () => {
  const p = await person();
  await p.login();
  const now = Date.now();
  vi.spyOn(Date, "now").mockReturnValue(now + 6 * HOUR - 2 * SECOND);
  expect(await sessionsOf(p)).toHaveLength(2);
  vi.spyOn(Date, "now").mockReturnValue(now + 6 * HOUR + SECOND);
  expect(await sessionsOf(p)).toHaveLength(1);
  for (let hour = 11; hour < 24; hour += 5) {
    vi.spyOn(Date, "now").mockReturnValue(now + hour * HOUR);
    expect(await sessionsOf(p)).toHaveLength(1);
  }
  vi.spyOn(Date, "now").mockReturnValue(now + 24 * HOUR + SECOND);
  expect((await me(p)).status).toBe(401);
});

test("a session's id is no cookie, and a listed one can be ended (R52, R54)", async () => {
  const p = await person();
  const other = await p.login();
  const id = await sha256(other.token);
  expect((await call("GET", "/v1/me", { headers: { cookie: `wrenn_sid=${id}` } })).status).toBe(401);
  const answer = await p.call("DELETE", `/v1/me/sessions/${id}`);
  expect(answer.status).toBe(204);
  expect(answer.headers.getSetCookie()).toEqual([]);
  expect((await me(other)).status).toBe(401);
  expect((await me(p)).status).toBe(200);
  expect(await doneTo(p.userId)).toEqual(["user.session_revoked"]);
});

test("ending an unknown session, or another user's, is 204 without effect (R55)", async () => {
  const [p, stranger] = [await person(), await person()];
  for (const id of ["x", "0".repeat(64), await sha256(stranger.token), stranger.userId]) {
    expect((await p.call("DELETE", `/v1/me/sessions/${id}`)).status).toBe(204);
  }
  expect((await me(stranger)).status).toBe(200);
  expect(await doneTo(p.userId)).toEqual([]);
});

test("ending one's own session clears the cookies (R56)", async () => {
  const p = await person();
  const answer = await p.call("DELETE", `/v1/me/sessions/${await sha256(p.token)}`);
  expect(answer.status).toBe(204);
  expect(clears(answer)).toBe(true);
  expect((await me(p)).status).toBe(401);
});

test("of more than a hundred sessions those not used for longest end", async () => {
  const p = await person();
  const first = await p.login();
  const now = Date.now();
  for (let n = 1; n <= 98; n++) {
    vi.spyOn(Date, "now").mockReturnValue(now + n * 2 * SECOND);
    await p.login();
  }
  vi.spyOn(Date, "now").mockReturnValue(now + 300 * SECOND);
  expect((await me(p)).status).toBe(200);
  const newest = await p.login();
  expect(await sessionsOf(p)).toHaveLength(100);
  expect((await me(first)).status).toBe(401);
  expect((await me(p)).status).toBe(200);
  expect((await me(newest)).status).toBe(200);
});
