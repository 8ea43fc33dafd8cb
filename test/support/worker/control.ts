import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { vi } from "vitest";
import type { Actor, Role } from "#domain/actor";
import type { Ctx } from "#domain/context";
import { createHost } from "#domain/host/create-host";
import { registerHost } from "#domain/host/register-host";
import { parseSandboxLimits } from "#domain/sandbox/limits";
import { insertSandbox } from "#domain/sandbox/repo";
import { newSlug } from "#domain/team/values";
import { newId } from "#kernel/id";
import { createLog } from "#kernel/log";
import { chunkPort } from "#platform/chunks/port";
import { teamPort } from "#platform/event/port";
import { makeHostPort } from "#platform/host/port";
import { principalPort } from "#platform/principal/port";
import { makeSandboxPort } from "#platform/sandbox/port";
import { usagePort } from "#platform/usage/port";
import { teams } from "#schema";
import { FakeAgent } from "#test/worker/fake-agent";

const missing = (port: string) =>
  new Proxy({} as never, {
    get: () => {
      throw new Error(`this test has no ${port}`);
    },
  });

export const actorOf = (teamId: string, role: Role | null = "owner", kind: Actor["kind"] = "user"): Actor => ({
  kind,
  id: `${kind}_1`,
  name: kind,
  teamId,
  userId: null,
  role,
  platformAdmin: false,
  credentialId: null,
  principal: "",
  subject: `${kind}:1`,
});

/** A context on the real storage of this test file, with the ports of hosts and sandboxes. */
export function ctxOf(actor: Actor): Ctx {
  return {
    actor,
    db: drizzle(env.DB),
    requestId: "req_test",
    appUrl: "",
    log: createLog("error"),
    now: Date.now,
    newId: (kind) => newId(kind, Date.now()),
    chunks: chunkPort(env),
    hosts: makeHostPort(env),
    sandboxes: makeSandboxPort(env),
    sandboxLimits: parseSandboxLimits(env),
    teams: teamPort(env),
    usage: usagePort(env),
    sessions: missing("sessions"),
    principals: principalPort(env),
    models: missing("models"),
    secrets: missing("secrets"),
    mailer: missing("mailer"),
    oauth: missing("oauth"),
    outbound: missing("outbound"),
    previews: missing("previews"),
    deliveries: missing("deliveries"),
    passwords: missing("passwords"),
    builds: missing("builds"),
    archives: missing("archives"),
    defer: (work) => void work(),
  };
}

export const newTeam = () => newId("team", Date.now());

/** A registered host behind a fake agent. With a team it is that team's own, and the team brings its own. */
export async function onlineHost(): Promise<FakeAgent> {
  const { host, registrationToken } = await createHost(ctxOf(actorOf("", null, "system")), { type: "regular" });
  const agent = new FakeAgent(host.id);
  const nobody = ctxOf(actorOf("", null, "anonymous"));
  agent.token = (await registerHost(nobody, { token: registrationToken, address: agent.address })).token;
  return agent;
}

/** A team that may bring its own hosts. */
export async function byocTeam(): Promise<string> {
  const id = newTeam();
  const times = { createdAt: Date.now(), updatedAt: Date.now() };
  await drizzle(env.DB)
    .insert(teams)
    .values({ id, name: "Own hosts", slug: newSlug(), isByoc: true, ...times });
  return id;
}

/** The row of a workspace's sandbox, not yet started. */
export async function newSandbox(teamId: string): Promise<string> {
  const [id, workspaceId, createdAt] = [newId("sandbox", Date.now()), newId("workspace", Date.now()), Date.now()];
  await insertSandbox(drizzle(env.DB), { id, teamId, workspaceId, name: "test", createdBy: "user_1", createdAt });
  return id;
}

type Row = Record<string, unknown>;

export async function rowOf(table: "sandboxes" | "hosts", id: string): Promise<Row | null> {
  return env.DB.prepare(`SELECT * FROM ${table} WHERE id = ?`).bind(id).first();
}

/** Changes audited about something, oldest first; attempts that were refused are not among them. */
export async function auditOf(subjectId: string): Promise<unknown[]> {
  const query = "SELECT action FROM audit_entries WHERE subject_id = ? AND result = 'ok' ORDER BY created_at, id";
  const { results } = await env.DB.prepare(query).bind(subjectId).all();
  return results.map(({ action }) => action);
}

/** Waits until a check passes; what it last threw is thrown when it never does. */
export const eventually = <T>(check: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(check, { timeout: 10_000, interval: 20 });
