import { env } from "cloudflare:workers";
import { getTableColumns, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { type Operation, takesJson } from "#http/operation";
import * as schema from "#schema";
import { capsuleOnAgent } from "#test/worker/agent-capsule";
import { sendArchive } from "#test/worker/archive-sender";
import { onlyHost } from "#test/worker/capsules";
import { eventually } from "#test/worker/control";
import { dumpD1, type StoredRow } from "#test/worker/dump";
import { FakeFiles } from "#test/worker/fake-files";
import { type Answer, call } from "#test/worker/harness";
import { inbox } from "#test/worker/receivers";
import { type Headers, type Kind, nextAddress, type Principal, World } from "#test/worker/seed";
import { letterToken, newEmail, PASSWORD, post, withPassword } from "#test/worker/visitor";
import { surfaces } from "../../src/surface-list.ts";
import { type Row, rows } from "./matrix/rows.ts";

/** A request that does what its operation is for. By default it is the owner's, with the body of the matrix. */
type Valid = { body?: object; as?: Principal; headers?: Headers; ids?: Partial<Record<Kind, string>> };

const NEW = "an even better password";
const of = ({ cookie, csrf }: { cookie: string; csrf: string }) => ({ cookie, "x-csrf-token": csrf });
const channel = (url: string) => ({ provider: "webhook", config: { url } });

async function letter(path: string, kind: string, more: object): Promise<string> {
  const email = "email" in more ? String(more.email) : newEmail();
  await post(path, { ...more, email });
  return letterToken(email, kind);
}

/** How the matrix's body must be changed where it is one that is refused. */
const VALID: Record<string, (world: World) => Promise<Valid>> = {
  signup: async () => ({ body: { email: newEmail(), password: PASSWORD, name: "N" }, as: "none" }),
  activate: async () => ({
    body: { token: await letter("/v1/auth/signup", "activation", { password: PASSWORD, name: "N" }) },
    as: "none",
  }),
  login: async () => ({ body: { email: (await withPassword()).email, password: PASSWORD }, as: "none" }),
  requestPasswordReset: async () => ({ body: { email: (await withPassword()).email }, as: "none" }),
  confirmPasswordReset: async () => {
    const { email } = await withPassword();
    const token = await letter("/v1/me/password/reset", "password_reset", { email });
    return { body: { token, new_password: NEW }, as: "none" };
  },
  deleteAccount: async () => {
    const p = await withPassword();
    return { body: { confirmation: p.email }, headers: of(p) };
  },
  changePassword: async () => {
    const body = { current_password: PASSWORD, new_password: NEW, confirm_password: NEW };
    return { body, headers: of(await withPassword()) };
  },
  addTeamMember: async () => ({ body: { email: (await withPassword()).email } }),
  registerHost: async ({ owner }) => {
    const made = await owner.call("POST", "/v1/hosts", { type: "byoc", team_id: owner.teamId });
    return { body: { token: made.body.registration_token, address: "agent.example.com:443" }, as: "none" };
  },
  refreshHostToken: async (world) => {
    await world.id("host");
    const headers = await world.headers("host refresh token");
    return { body: { refresh_token: headers["x-host-token"] }, as: "none" };
  },
  testChannel: async () => ({ body: channel(inbox().url) }),
  downloadFile: hasFiles(),
  adminDownloadFile: hasFiles(),
  streamDownloadFile: hasFiles(),
  listDir: hasFiles({ path: "/workspace" }),
  adminListDir: hasFiles({ path: "/workspace" }),
  makeDir: hasFiles({ path: "d" }),
  adminMakeDir: hasFiles({ path: "d" }),
  removePath: hasFiles(),
  adminRemovePath: hasFiles(),
  createSnapshot: async (world) => {
    const ids = await takesSnapshots(world);
    return { ids, body: { sandbox_id: ids.sandbox, name: "taken" } };
  },
  adminCreateSnapshotFromCapsule: async (world) => ({ ids: await takesSnapshots(world), body: { name: newName() } }),
  adminCreateBuild: async () => ({ body: { name: newName(), recipe: ["RUN true"] } }),
  execCommand: runsCommands,
  adminExecCommand: runsCommands,
  createCapsule: hasRoom,
  adminCreateCapsule: async (world) => {
    await hasRoom(world);
    return { body: { team_id: world.owner.teamId } };
  },
  sandboxEventCallback: async (world) => {
    const { id, agent } = await capsuleOnAgent(world.owner.teamId);
    const body = { event: "sandbox.auto_paused", sandbox_id: id, host_id: agent.hostId };
    return { body, headers: { "x-host-token": agent.token } };
  },
};

/** A world whose team may use a host of the platform. */
async function hasRoom({ owner }: World): Promise<Valid> {
  await env.DB.prepare("UPDATE teams SET is_byoc = 0 WHERE id = ?").bind(owner.teamId).run();
  await onlyHost();
  return {};
}

let names = 0;
/** Names of the platform's own templates are taken for good. */
const newName = () => `visitor-${++names}`;

/** A world whose capsule runs and has a file. */
function hasFiles(body?: object) {
  return async ({ owner }: World): Promise<Valid> => {
    const { id, agent } = await capsuleOnAgent(owner.teamId);
    const has = new FakeFiles();
    has.files.set("/workspace/a.txt", new TextEncoder().encode("text"));
    agent.inside = has.inside;
    return { ids: { sandbox: id }, ...(body && { body }) };
  };
}

/** A world whose capsule runs, and of which snapshots can be taken. */
async function takesSnapshots({ owner }: World): Promise<{ sandbox: string }> {
  const { id, agent } = await capsuleOnAgent(owner.teamId);
  agent.snapshot = async (token) => {
    const { root } = await sendArchive(token, ["one"]);
    return Response.json({ root, bytes: 3, sentBytes: 3, frozenMs: 1 });
  };
  return { sandbox: id };
}

/** A world whose capsule runs, and answers every command alike. */
async function runsCommands(world: World): Promise<Valid> {
  const { id, agent } = await capsuleOnAgent(world.owner.teamId);
  const result = { stdout: "", stderr: "", encoding: "utf8", exitCode: 0, signal: null };
  agent.inside = () => Response.json({ ...result, timedOut: false, truncated: false, durationMs: 1 });
  return { ids: { sandbox: id } };
}

type Cell = { op: Operation; row: Row };

/** Every operation that takes JSON: of the platform all, of the runtime those that make workspaces, sandboxes and sessions. */
const RUNTIME = ["createWorkspace", "createSession", "ensureSandboxForWorkspace"];
const cells: [string, Cell][] = surfaces.flatMap(({ name, operations }) =>
  operations.flatMap((op): [string, Cell][] => {
    const row = rows.get(`${name}.${op.id}`);
    const chosen = name === "platform" ? takesJson(op) : RUNTIME.includes(op.id);
    return row && chosen ? [[`${name}.${op.id}`, { op, row }]] : [];
  }),
);

const TIME = Date.UTC(1999, 8, 9, 9, 9, 9);
const USUAL = [
  ...["owner", "admin", "is_admin", "isAdmin", "platform_admin", "platformAdmin", "key", "secret", "tenant_id"],
  ...["actor", "user", "team", "permissions", "scope", "active", "byoc", "token", "force", "organization_id"],
];
const COLUMNS = Object.values(schema as Record<string, unknown>)
  .filter((one): one is SQLiteTable => is(one, SQLiteTable))
  .flatMap((table) => Object.entries(getTableColumns(table)).flatMap(([camel, { name }]) => [camel, name]));

/** The names of all fields in an answer. */
function fieldsOf(type: unknown): string[] {
  if (type instanceof z.ZodArray) return fieldsOf(type.element);
  if (type instanceof z.ZodOptional || type instanceof z.ZodNullable) return fieldsOf(type.unwrap());
  if (!(type instanceof z.ZodObject)) return [];
  return Object.entries(type.shape).flatMap(([name, field]) => [name, ...fieldsOf(field)]);
}

let foreign: World;
beforeAll(async () => {
  foreign = await World.create();
});

function hostile(name: string): unknown {
  const { userId, teamId } = foreign.owner;
  if (/^(team|tenant|organization)(_?id)?$/i.test(name)) return teamId;
  if (/^(user|owner|actor|created_?by|subject)(_?id)?$/i.test(name)) return userId;
  if (/(_at|At)$/.test(name)) return name.endsWith("At") ? TIME : new Date(TIME).toISOString();
  if (/^(is|read)_?[A-Z_]|admin|^(byoc|active|force)$/i.test(name)) return true;
  if (name === "role") return "owner";
  if (name === "status") return "disabled";
  return `hostile-${name}`;
}

/** The body as text, with every field that the operation does not name and that something stored or answered has. */
function poisoned(op: Operation, body: object): string {
  const own = op.body instanceof z.ZodObject ? Object.keys(op.body.shape) : Object.keys(body);
  const names = new Set([...COLUMNS, ...USUAL, ...fieldsOf(op.returns.schema)].filter((one) => !own.includes(one)));
  const more = Object.fromEntries([...names].map((one) => [one, hostile(one)]));
  const proto = JSON.stringify({ hostile: "hostile-prototype", platformAdmin: true, role: "owner", ...more });
  const text = JSON.stringify({ ...body, ...more, constructor: { prototype: { hostile: "hostile-constructor" } } });
  return `${text.slice(0, -1)},"__proto__":${proto},"prototype":${proto}}`;
}

type Prepared = { path: string; method: string; headers: Headers; body: object };

async function prepare({ op, row }: Cell, world: World): Promise<Prepared> {
  const valid = (await VALID[op.id]?.(world)) ?? {};
  const swaps = { ...row.ids, ...row.bodyIds };
  const ids = { ...(await world.ids(Object.values(swaps))), ...valid.ids };
  const values: Record<string, string> = { ...row.params };
  for (const [name, kind] of Object.entries(row.ids ?? {})) values[name] = ids[kind] ?? "";
  const inBody = Object.entries(row.bodyIds ?? {}).map(([name, kind]) => [name, ids[kind]]);
  const given = typeof row.body === "function" ? row.body() : row.body;
  const as = valid.as ?? (row.profile === "admin" ? "platform admin" : row.profile === "public" ? "none" : "owner");
  const headers = valid.headers ?? (await world.headers(as));
  const path = op.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
  return {
    path,
    method: op.method.toUpperCase(),
    headers: { "cf-connecting-ip": nextAddress(), "content-type": "application/json", ...headers },
    body: valid.body ?? { ...given, ...Object.fromEntries(inBody) },
  };
}

const send = ({ path, method, headers }: Prepared, text: string): Promise<Answer> =>
  call(method, path, { body: text, headers });

/** Columns and fields that differ from one request to the next although both do the same. */
const RANDOM = /slug|prefix|sealed|config|hash|email|token|^(key|secret)$/;
const VARIES = /^(seq|attempts|due_at|sent_at)$/;
/** Ids, hashes, names and times of a request's own. */
const OWN =
  /[0-9a-f]{64}|[0-9a-f-]{36}|([a-z]+_)?[0-9a-hjkmnp-tv-z]{20}|\b[0-9a-hjkmnp-tv-z]{8}$|visitor-\d+|\d{4}-\d\d-\d\dT[\d:.]+Z|\d{13}/g;

function normal(value: unknown, name = ""): unknown {
  if (VARIES.test(name)) return "varies";
  if (value === null || value === undefined) return null;
  if (RANDOM.test(name)) return "random";
  if (Array.isArray(value)) return value.map((one) => normal(one));
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([field, one]) => [field, normal(one, field)]));
  }
  if (typeof value === "number") return value > 1e12 ? "time" : value;
  return typeof value === "string" ? value.replaceAll(OWN, "#") : value;
}

type Changes = { raw: string; normal: string[] };

/** Teams of requests that were looked at; what their objects still publish is no effect of the next one. */
const done = new Set<unknown>();

/** The rows that are new or gone, and the columns that are not what they were. */
function changes(before: Map<string, StoredRow>, after: Map<string, StoredRow>): Changes {
  const found: [string, StoredRow][] = [];
  for (const [at, row] of after) {
    if (done.has(row.team_id)) continue;
    const old = before.get(at);
    const changed = Object.entries(row).filter(([column, value]) => old?.[column] !== value);
    if (changed.length > 0) found.push([`${old ? "~" : "+"} ${at.split(" ")[0]}`, Object.fromEntries(changed)]);
  }
  for (const at of before.keys()) if (!after.has(at)) found.push([`- ${at.split(" ")[0]}`, {}]);
  return { raw: JSON.stringify(found), normal: found.map((one) => JSON.stringify(normal(one))).sort() };
}

/** Sends, and says what that changed once nothing changes any more. */
async function effectOf(cell: Cell, textOf: (body: object) => string) {
  const world = await World.create();
  const prepared = await prepare(cell, world);
  const before = await settled();
  const answer = await send(prepared, textOf(prepared.body));
  const effect = changes(before, await settled());
  done.add(world.owner.teamId);
  return { answer, ...effect };
}

async function settled(): Promise<Map<string, StoredRow>> {
  let [last, calm] = ["", 0];
  return eventually(async () => {
    const dump = await dumpD1();
    const text = JSON.stringify([...dump]);
    calm = text === last ? calm + 1 : 0;
    last = text;
    expect(calm).toBeGreaterThan(1);
    return dump;
  });
}

/** A world with fake agents reaches nothing else. */
afterEach(() => {
  vi.unstubAllGlobals();
});

let tried = 0;
afterAll(() => {
  expect(tried).toBe(cells.length);
  expect(tried).toBeGreaterThanOrEqual(28);
});

test.for(cells)("%s stores nothing that its body only slips in (T11)", async ([, cell]) => {
  const clean = await effectOf(cell, (body) => JSON.stringify(body));
  expect(clean.answer.status, clean.answer.text).toBeLessThan(300);
  const dirty = await effectOf(cell, (body) => poisoned(cell.op, body));
  const seen = `${dirty.raw} ${dirty.answer.text}`;
  const { userId, teamId } = foreign.owner;
  for (const value of ["hostile-", userId, teamId, String(TIME), "1999-09-09"]) expect(seen).not.toContain(value);
  expect(Reflect.get({}, "hostile")).toBeUndefined();
  expect(Reflect.get({}, "platformAdmin")).toBeUndefined();
  expect(dirty.answer.status, dirty.answer.text).toBe(clean.answer.status);
  expect(normal(dirty.answer.body)).toEqual(normal(clean.answer.body));
  expect(dirty.normal).toEqual(clean.normal);
  tried += 1;
});

test("the comparison sees a flag and a foreign value that were slipped in", async () => {
  const [{ owner }, before] = [await World.create(), await settled()];
  const set = "UPDATE users SET is_platform_admin = 1, name = ?, updated_at = ? WHERE id = ?";
  await env.DB.prepare(set).bind(foreign.owner.teamId, TIME, owner.userId).run();
  const seen = changes(before, await dumpD1());
  expect(seen.normal).toEqual([`["~ users",{"name":"#","is_platform_admin":1,"updated_at":${TIME}}]`]);
  for (const value of [foreign.owner.teamId, String(TIME)]) expect(seen.raw).toContain(value);
});
