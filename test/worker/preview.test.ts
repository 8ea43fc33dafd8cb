import { env } from "cloudflare:workers";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { newId } from "#kernel/id";
import { previewPort } from "#platform/preview/port";
import { signControlToken } from "#platform/sandbox/control-token";
import { auditOf, newSandbox, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { call, request, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

const LOCAL = "http://localhost:8787";
const marked = (body: BodyInit | null, init: ResponseInit = {}) => {
  const answer = new Response(body, init);
  answer.headers.set("x-preview-answer", "1");
  return answer;
};

let agent: FakeAgent;
let seen: Request[] = [];

beforeAll(async () => {
  serveFakeAgents();
  agent = await onlineHost();
});
afterEach(() => {
  seen = [];
  vi.restoreAllMocks();
});

/** A team with a running sandbox, on whose ports something answers. */
async function world(answer: (request: Request) => Response | Promise<Response> = () => marked("inside")) {
  const team = await tenant();
  const id = await newSandbox(team.teamId);
  expect(await env.SANDBOX.getByName(id).start(team.teamId)).toMatchObject({ ok: true });
  agent.inside = (inner) => {
    seen.push(inner);
    return answer(inner);
  };
  const origin = (port: number | string = 8080, sandbox = id) => `http://${port}-${sandbox}.localhost:8787`;
  const visit = (path: string, headers: Record<string, string> = {}, at = origin()) =>
    call("GET", path, { origin: at, headers });
  const link = async (body: unknown = { port: 8080 }) => {
    const headers = { "x-api-key": team.key };
    return call("POST", `/extras/v1/sandboxes/${id}/preview-links`, { origin: LOCAL, headers, body });
  };
  return { team, id, origin, visit, link, key: { "x-api-key": team.key } };
}

const tokenOf = (url: string) => new URL(url).searchParams.get("longshore_token") ?? "";

test("R422: a signed link becomes a cookie of that host name alone, and the sandbox sees neither", async () => {
  const { id, origin, visit, link } = await world();
  const made = await link({ port: 8080, expires_in: 600 });
  expect(made.status).toBe(201);
  expect(made.body.url).toMatch(new RegExp(`^${origin()}/\\?longshore_token=`));
  expect(Date.parse(made.body.expires_at) - Date.now()).toBeGreaterThan(590_000);
  expect(await auditOf(id)).toContain("sandbox.port_shared");
  const token = tokenOf(made.body.url);
  const first = await visit(`//evil.example/a?x=1&longshore_token=${token}&y=%20`);
  expect([first.status, first.headers.get("location")]).toEqual([302, `${origin()}//evil.example/a?x=1&y=%20`]);
  const cookie = first.headers.get("set-cookie") ?? "";
  expect(cookie).toMatch(/^longshore_preview=[\w.-]+; Path=\/; Max-Age=\d+; SameSite=Lax; HttpOnly$/);
  const [pair = ""] = cookie.split(";");
  const page = await visit("/a?x=1", { cookie: `wrenn_sid=secret; own=1; ${pair}; wrenn_csrf=x` });
  expect([page.status, page.text]).toEqual([200, "inside"]);
  expect(seen[0]?.headers.get("cookie")).toBe("own=1");
  expect(new URL(seen[0]!.url).search).toBe("?x=1");
  expect(JSON.stringify([...seen[0]!.headers])).not.toContain(token);
});

test("a program sends the link's secret with a request of any kind, and is not sent elsewhere", async () => {
  const { origin, link } = await world();
  const token = tokenOf((await link()).body.url);
  const posted = await call("POST", `/in?longshore_token=${token}`, { origin: origin(), body: { a: 1 } });
  expect(posted.status).toBe(200);
  expect([seen[0]?.method, new URL(seen[0]!.url).search]).toEqual(["POST", ""]);
});

test("R422, T4: a link opens one port of one sandbox until it expires, and is no other token", async () => {
  const { id, team, origin, visit, link } = await world();
  const other = await world();
  const token = tokenOf((await link()).body.url);
  const at = (where: string, secret = token) => visit(`/?longshore_token=${secret}`, {}, where);
  expect((await at(origin())).status).toBe(302);
  expect((await at(origin(8081))).status).toBe(401);
  expect((await at(other.origin())).status).toBe(401);
  expect((await visit("/", { cookie: `longshore_preview=${token}` }, origin(8081))).status).toBe(404);
  const subject = { hostId: agent.hostId, sandboxId: id, generation: 1 };
  for (const secret of ["", "a.b.c", team.key, (await signControlToken(env, subject, "use")).token, `${token}x`]) {
    expect((await at(origin(), secret)).status).toBe(401);
  }
  const old = await previewPort(env).sign({ teamId: team.teamId, sandboxId: id, port: 8080 }, Date.now() - 1000);
  expect((await at(origin(), old)).status).toBe(401);
  expect((await call("GET", `/v1/capsules/${id}`, { headers: { "x-api-key": token } })).status).toBe(401);
});

test("R422, T1: to everybody else there is no such sandbox, whether it exists or not", async () => {
  const { visit, origin } = await world();
  const stranger = { "x-api-key": (await tenant()).key };
  const missing = origin(8080, newId("sandbox", Date.now()));
  const answers = await Promise.all([
    visit("/"),
    visit("/", {}, missing),
    visit("/", stranger),
    visit("/", stranger, missing),
    visit("/", {}, origin(8080, "sb_nonsense")),
  ]);
  expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
  expect(answers[0]?.status).toBe(404);
  expect((await visit("/", { "x-api-key": "wrn_wrong" })).status).toBe(401);
  expect((await visit("/", { "x-api-key": (await tenant("viewer")).key })).status).toBe(403);
  expect(seen).toEqual([]);
});

test("R422: an API key opens a port and does not reach it, while the program's own authorization does", async () => {
  const { visit, key, team } = await world();
  expect((await visit("/", { ...key, authorization: "Basic own" })).text).toBe("inside");
  expect(seen[0]?.headers.get("x-preview-authorization")).toBe("Basic own");
  expect((await visit("/", { authorization: `Bearer ${team.key}` })).text).toBe("inside");
  expect(JSON.stringify(seen.map(({ headers }) => [...headers]))).not.toContain(team.key);
});

test("R422: the label preview=public opens the ports of a sandbox to everybody", async () => {
  const { id, visit } = await world();
  await env.DB.prepare("UPDATE sandboxes SET metadata = ? WHERE id = ?").bind('{"preview":"public"}', id).run();
  expect((await visit("/")).text).toBe("inside");
  await env.DB.prepare("UPDATE sandboxes SET metadata = ? WHERE id = ?").bind('{"preview":"no"}', id).run();
  expect((await visit("/")).status).toBe(404);
});

test("R422: a bad port is 400, one where nothing listens 502, and a sandbox that does not run 409", async () => {
  const closed = { error: { code: "port_closed", message: "x" } };
  const { id, team, visit, origin, key } = await world(() => Response.json(closed, { status: 502 }));
  for (const port of ["0", "65536", "http"]) expect((await visit("/", key, origin(port))).status, port).toBe(400);
  expect(await visit("/", key)).toMatchObject({ status: 502, text: expect.stringContaining("port 8080") });
  agent.inside = () => new Response("bad gateway of a tunnel", { status: 530 });
  expect(await visit("/", key)).toMatchObject({ status: 502, text: expect.stringContaining("host") });
  await env.SANDBOX.getByName(id).stop(team.teamId);
  const stopped = await visit("/", key);
  expect(stopped.status).toBe(409);
  expect(agent.count("PUT")).toBeGreaterThan(0);
  expect(await env.SANDBOX.getByName(id).get(team.teamId)).not.toMatchObject({ value: { status: "running" } });
});

test("an answer keeps its cookies to its own host name, and may not set one of ours", async () => {
  const { visit, key } = await world(() => {
    const answer = marked("x", { status: 201, headers: { "x-frame-options": "ALLOW", etag: '"1"' } });
    for (const value of ["a=1; Domain=.localhost; Path=/", "wrenn_sid=planted", "longshore_preview=x", "b=2"]) {
      answer.headers.append("set-cookie", value);
    }
    return answer;
  });
  const { status, headers } = await visit("/", key);
  expect([status, headers.getSetCookie()]).toEqual([201, ["a=1; Path=/", "b=2"]]);
  expect([headers.get("etag"), headers.get("x-frame-options"), headers.get("content-security-policy")]).toEqual([
    ...['"1"', "ALLOW", null],
  ]);
  expect(headers.get("x-preview-answer")).toBeNull();
});

test("nothing of the API is served on the host name of a port", async () => {
  const { id, origin } = await world();
  const { cookie } = await person();
  for (const path of ["/v1/me", "/openapi.json", "/", "/healthz", `/v1/capsules/${id}`]) {
    expect((await call("GET", path, { origin: origin(), headers: { cookie } })).status, path).toBe(404);
  }
});

test("bodies stream both ways, and a WebSocket passes with its protocol", async () => {
  const { origin, key } = await world((inner) => {
    if (inner.headers.get("upgrade") !== "websocket") {
      const { readable, writable } = new TransformStream();
      const writer = writable.getWriter();
      void writer.write(new TextEncoder().encode("data: 1\n\n"));
      return marked(readable, { headers: { "content-type": "text/event-stream" } });
    }
    const [client, server] = Object.values(new WebSocketPair());
    server!.accept();
    server!.addEventListener("message", ({ data }) => server!.send(`${data}!`));
    const headers = { "x-preview-answer": "1", "sec-websocket-protocol": "chat" };
    return new Response(null, { status: 101, webSocket: client!, headers });
  });
  const events = await request("GET", "/events", { origin: origin(), headers: key });
  const reader = events.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: 1\n\n");
  await reader.cancel();
  const headers = { ...key, upgrade: "websocket", "sec-websocket-protocol": "chat" };
  const answer = await request("GET", "/socket", { origin: origin(), headers });
  expect([answer.status, answer.headers.get("sec-websocket-protocol")]).toEqual([101, "chat"]);
  const socket = answer.webSocket!;
  socket.accept();
  const echoed = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
  socket.send("hello");
  expect(await echoed).toBe("hello!");
  socket.close();
});

test("a deployment without a domain has no links, and says so", async () => {
  const { id, key } = await world();
  const path = `/extras/v1/sandboxes/${id}/preview-links`;
  expect(await call("POST", path, { headers: key, body: { port: 80 } })).toMatchObject({
    status: 503,
    body: { error: { code: "unavailable" } },
  });
  for (const body of [{ port: 0 }, { port: 70_000 }, {}, { port: 80, expires_in: 1 }, { port: 80, expires_in: 1e9 }]) {
    expect((await call("POST", path, { origin: LOCAL, headers: key, body })).status).toBe(400);
  }
});
