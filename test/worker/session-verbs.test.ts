import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { expect, test, vi } from "vitest";
import type { Ctx } from "#domain/context";
import { cancelRun } from "#domain/session/cancel-run";
import { createSession } from "#domain/session/create-session";
import { deleteSession } from "#domain/session/delete-session";
import { getMessage } from "#domain/session/get-message";
import { getQueue } from "#domain/session/get-queue";
import { getRun } from "#domain/session/get-run";
import { getSession } from "#domain/session/get-session";
import { guideRun } from "#domain/session/guide-run";
import { listMessages } from "#domain/session/list-messages";
import { listRunSteps } from "#domain/session/list-run-steps";
import { listSessions } from "#domain/session/list-sessions";
import { openSessionFeed } from "#domain/session/open-session-feed";
import { sendMessage } from "#domain/session/send-message";
import { sweepStaleRuns } from "#domain/session/sweep-stale-runs";
import { isTerminal } from "#domain/session/values";
import { newId } from "#kernel/id";
import { createLog } from "#kernel/log";
import { catalog } from "#platform/models/catalog";
import { sessionPort } from "#platform/session/port";
import { workspaces } from "#schema";
import { scriptEngine, until } from "#test/worker/sessions";

scriptEngine();

/** A member of a fresh team with a workspace. Ports the verbs do not use are left out. */
async function member(role: "member" | "viewer" = "member"): Promise<Ctx & { workspaceId: string }> {
  const now = Date.now();
  const actor = {
    kind: "user",
    id: newId("user", now),
    teamId: newId("team", now),
    userId: null,
    role,
    platformAdmin: false,
    credentialId: null,
    name: "Me",
    principal: "",
    subject: "user:me",
  } as const;
  const workspaceId = newId("workspace", now);
  const db = drizzle(env.DB);
  await db.insert(workspaces).values({
    id: workspaceId,
    teamId: actor.teamId,
    sandboxId: newId("sandbox", now),
    name: "w",
    createdBy: actor.id,
    createdAt: now,
    updatedAt: now,
  });
  const ports = { sessions: sessionPort(env), models: catalog(env) } as Ctx;
  const clock = { now: Date.now, newId: (kind: Parameters<Ctx["newId"]>[0]) => newId(kind, Date.now()) };
  return { ...ports, ...clock, actor, db, requestId: "r", log: createLog("error"), workspaceId };
}

const say = { content: "say hi", metadata: null, whenBusy: "queue", idempotency: null } as const;
/** Fault codes of calls that are refused, "none" for one that is not. */
const codes = (calls: Promise<unknown>[]) =>
  Promise.all(
    calls.map((call) =>
      call.then(
        () => "none",
        (error: unknown) => (error as { code?: string }).code,
      ),
    ),
  );
const rows = async (sql: string, ...values: string[]) =>
  (
    await env.DB.prepare(sql)
      .bind(...values)
      .all()
  ).results;

test("a session is created with an audit entry, adopted at first use, and published as its run ends", async () => {
  const ctx = await member();
  const session = await createSession(ctx, { workspaceId: ctx.workspaceId, title: "t" });
  expect(await getSession(ctx, session.id)).toEqual(session);
  expect(session).toMatchObject({ activeAgentName: "assistant", agentName: null, subjectRef: "user:me", title: "t" });
  const [entry] = await rows("SELECT action FROM audit_entries WHERE subject_id = ?", session.id);
  expect(entry).toEqual({ action: "session.created" });

  const { runId, messageId } = await sendMessage(ctx, { sessionId: session.id, ...say });
  await until(async () => isTerminal((await getRun(ctx, runId)).status));
  const [row] = await until(async () => {
    const found = await rows("SELECT * FROM runs WHERE id = ? AND status = 'completed'", runId);
    return found.length > 0 && found;
  });
  expect(row).toMatchObject({ session_id: session.id, team_id: ctx.actor.teamId, trigger_type: "message" });
  const { items } = await listSessions(ctx, { workspaceId: ctx.workspaceId, page: { pageSize: 10, offset: 0 } });
  const live = await getSession(ctx, session.id);
  expect(items).toEqual([live]);
  expect(live.lastRunAt).not.toBeNull();

  expect(await getMessage(ctx, session.id, messageId)).toMatchObject({ content: "say hi" });
  expect((await listMessages(ctx, session.id, { limit: 1, direction: "backward", after: null })).more).toBe(true);
  expect(await getQueue(ctx, session.id)).toEqual([]);
  expect((await listRunSteps(ctx, runId, { pageSize: 2, offset: 0 })).nextCursor).toBe("2");
});

test("what was not published before an eviction is published after it", async () => {
  const ctx = await member();
  const session = await createSession(ctx, { workspaceId: ctx.workspaceId });
  const { runId } = await sendMessage(ctx, { sessionId: session.id, ...say });
  await until(async () => isTerminal((await getRun(ctx, runId)).status));
  await evictDurableObject(env.SESSION.getByName(session.id));
  await until(async () => (await rows("SELECT 1 FROM runs WHERE id = ? AND status = 'completed'", runId)).length > 0);
});

test.for([
  { why: "an unknown agent", input: { agentName: "nobody" }, code: "agent_not_found" },
  { why: "an unknown model", input: { modelRef: "platform/none" }, code: "model_not_found" },
  { why: "an unknown workspace", input: { workspaceId: "ws_none" }, code: "workspace_not_found" },
])("creating a session is refused for $why", async ({ input, code }) => {
  const ctx = await member();
  await expect(createSession(ctx, { workspaceId: ctx.workspaceId, ...input })).rejects.toMatchObject({ code });
});

test("T1 a foreign, a missing and a malformed id are all the same for every verb", async () => {
  const [mine, theirs] = [await member(), await member()];
  const session = await createSession(theirs, { workspaceId: theirs.workspaceId });
  const { runId, messageId } = await sendMessage(theirs, { sessionId: session.id, ...say });
  const page = { pageSize: 1, offset: 0 };
  for (const sessionId of [session.id, newId("session", Date.now()), "ses_none", "'"]) {
    const bySession = [
      getSession(mine, sessionId),
      sendMessage(mine, { sessionId, ...say }),
      listMessages(mine, sessionId, { limit: 1, direction: "forward", after: null }),
      getMessage(mine, sessionId, messageId),
      getQueue(mine, sessionId),
      openSessionFeed(mine, sessionId, { after: -1, runId: null }),
      deleteSession(mine, sessionId),
    ];
    expect(await codes(bySession)).toEqual(bySession.map(() => "session_not_found"));
  }
  for (const id of [runId, runId.replace(/_1$/, "_2"), "run_none_1", "run__"]) {
    const byRun = [getRun(mine, id), listRunSteps(mine, id, page), cancelRun(mine, id), guideRun(mine, id)];
    expect(await codes(byRun)).toEqual(byRun.map(() => "run_not_found"));
  }
  const listed = await listSessions(mine, { workspaceId: theirs.workspaceId, page });
  expect(listed.items).toEqual([]);
});

test("T3 a viewer reads and changes nothing", async () => {
  const ctx = await member("viewer");
  const { workspaceId } = ctx;
  const sessionId = "ses_any";
  const writes = [
    createSession(ctx, { workspaceId }),
    sendMessage(ctx, { sessionId, ...say }),
    cancelRun(ctx, "run_any_1"),
    guideRun(ctx, "run_any_1"),
    deleteSession(ctx, sessionId),
  ];
  expect(await codes(writes)).toEqual(writes.map(() => "forbidden"));
  expect(await listSessions(ctx, { workspaceId, page: { pageSize: 1, offset: 0 } })).toEqual({ items: [] });
});

test("deleting a session stops its run, closes its readers and leaves nothing", async () => {
  const ctx = await member();
  const session = await createSession(ctx, { workspaceId: ctx.workspaceId });
  const { runId } = await sendMessage(ctx, { sessionId: session.id, ...say, content: "hang" });
  const socket = (await openSessionFeed(ctx, session.id, { after: -1, runId: null })).webSocket!;
  const closed = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  socket.accept();
  await deleteSession(ctx, session.id);
  expect(await closed).toBe(4404);
  await expect(getSession(ctx, session.id)).rejects.toMatchObject({ code: "session_not_found" });
  await expect(getRun(ctx, runId)).rejects.toMatchObject({ code: "run_not_found" });
  await expect(deleteSession(ctx, session.id)).rejects.toMatchObject({ code: "session_not_found" });
  expect(await rows("SELECT id FROM runs WHERE session_id = ?", session.id)).toEqual([]);
});

test("an object whose session was deleted behind its back stops by itself", async () => {
  const ctx = await member();
  const session = await createSession(ctx, { workspaceId: ctx.workspaceId });
  const { runId } = await sendMessage(ctx, { sessionId: session.id, ...say, content: "hang" });
  await env.DB.prepare("DELETE FROM sessions WHERE id = ?").bind(session.id).run();
  await until(async () => !(await ctx.sessions.session(session.id).getRun(ctx.actor.teamId, runId)).ok);
  expect(await rows("SELECT id FROM runs WHERE session_id = ?", session.id)).toEqual([]);
});

test("R6 two members may pick the same key for different messages", async () => {
  const ctx = await member();
  const { id: sessionId } = await createSession(ctx, { workspaceId: ctx.workspaceId });
  const colleague = { ...ctx, actor: { ...ctx.actor, id: newId("user", Date.now()), subject: "user:colleague" } };
  const first = await sendMessage(ctx, { ...say, sessionId, idempotency: { key: "1", fingerprint: "a" } });
  const second = await sendMessage(colleague, { ...say, sessionId, idempotency: { key: "1", fingerprint: "b" } });
  expect(second.runId).not.toBe(first.runId);
  expect(await sendMessage(ctx, { ...say, sessionId, idempotency: { key: "1", fingerprint: "a" } })).toEqual(first);
});

test("sending and following ask D1 nothing once the object knows its session", async () => {
  const ctx = await member();
  const { id: sessionId } = await createSession(ctx, { workspaceId: ctx.workspaceId });
  await sendMessage(ctx, { ...say, sessionId });
  const prepared = vi.spyOn(Object.getPrototypeOf(env.DB), "prepare");
  const { runId } = await sendMessage(ctx, { ...say, sessionId });
  const feed = await openSessionFeed(ctx, sessionId, { after: -1, runId: null });
  feed.webSocket?.accept();
  feed.webSocket?.close();
  await cancelRun(ctx, runId);
  expect(prepared.mock.calls).toEqual([]);
  prepared.mockRestore();
});

test("the sweep leaves a session alone whose queue waits behind a run that reports", async () => {
  const ctx = await member();
  const { id: sessionId } = await createSession(ctx, { workspaceId: ctx.workspaceId });
  const active = await sendMessage(ctx, { ...say, sessionId, content: "hang" });
  const waiting = await sendMessage(ctx, { ...say, sessionId });
  await until(async () => (await rows("SELECT 1 FROM runs WHERE id = ?", waiting.runId)).length > 0);
  await env.DB.prepare("UPDATE runs SET published_at = 0 WHERE status != 'running' OR session_id != ?")
    .bind(sessionId)
    .run();
  await env.DB.prepare("DELETE FROM runs WHERE session_id != ?").bind(sessionId).run();
  expect(await sweepStaleRuns(ctx)).toBe(0);
  await cancelRun(ctx, active.runId);
});

test("the sweep removes what a crash left of a deleted session, and does not meet it again", async () => {
  const ctx = await member();
  const { id: sessionId } = await createSession(ctx, { workspaceId: ctx.workspaceId });
  const { runId } = await sendMessage(ctx, { ...say, sessionId, content: "hang" });
  await until(async () => (await rows("SELECT 1 FROM runs WHERE id = ?", runId)).length > 0);
  await deleteSession(ctx, sessionId);
  await env.DB.prepare(
    "INSERT INTO runs (id, team_id, workspace_id, session_id, status, trigger_type, agent_name, created_at, published_at) " +
      "VALUES (?, ?, 'w', ?, 'running', 'message', 'a', 0, 0)",
  )
    .bind(runId, ctx.actor.teamId, sessionId)
    .run();
  await sweepStaleRuns(ctx);
  expect(await rows("SELECT id FROM runs WHERE session_id = ?", sessionId)).toEqual([]);
});

test("the sweep wakes sessions whose runs were silent for too long", async () => {
  const ctx = await member();
  const session = await createSession(ctx, { workspaceId: ctx.workspaceId });
  const { runId } = await sendMessage(ctx, { sessionId: session.id, ...say, content: "hang" });
  await until(async () => (await rows("SELECT 1 FROM runs WHERE id = ?", runId)).length > 0);
  expect(await sweepStaleRuns(ctx)).toBe(0);
  expect(await sweepStaleRuns({ ...ctx, now: () => Date.now() + 180_000 })).toBeGreaterThan(0);
});
