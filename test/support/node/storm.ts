import { createHash } from "node:crypto";
import { api } from "#scripts/lib/api";
import { freePort } from "#scripts/lib/free-port";
import { readEvents, type StreamedEvent } from "#scripts/lib/read-events";
import { localSecrets } from "#scripts/lib/secrets";
import { setUp } from "#scripts/lib/stack";
import { Victim } from "#test/node/victim";

export type Storm = {
  dataDir: string;
  vars: Record<string, string>;
  kills: number;
  seed: number;
  bundle?: string;
};

export type Damage = {
  tried: number;
  acknowledged: number;
  lost: string[];
  doubled: string[];
  unstableKeys: string[];
  gaps: string[];
  unfinished: string[];
};

const SESSIONS = 4;
const LAST = ["run.completed", "run.failed", "run.cancelled"];

/** Numbers in [0, 1) that depend on the seed alone. */
function dice(seed: number): () => number {
  let n = 0;
  return () => createHash("sha256").update(`${seed}:${n++}`).digest().readUInt32BE() / 2 ** 32;
}

type Attempt = { key: string; sessionId: string; runIds: Set<string> };

/**
 * Kills the whole product over and over while two clients post messages with keys, starts it again each time, lets it
 * finish by itself, and reports every promise it broke (R1, R2, R6, R8, S1).
 */
export async function storm({ dataDir, vars, kills, seed, bundle }: Storm): Promise<Damage> {
  const roll = dice(seed);
  const port = await freePort();
  const secrets = await localSecrets(dataDir);
  let victim = await Victim.start(dataDir, port, vars, bundle);
  const { apiKey } = await setUp(victim.url, dataDir, secrets.SETUP_TOKEN);
  const call = api(victim.url, { "x-api-key": apiKey });
  const workspace = await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "storm", runtime: "base" });
  const sessions: string[] = [];
  for (let i = 0; i < SESSIONS; i++) {
    const { id } = await call<{ id: string }>("POST", `/api/v1/workspaces/${workspace.id}/sessions`, {});
    sessions.push(id);
  }
  const attempts = new Map<string, Attempt>();
  const post = async (key: string, sessionId: string) => {
    const attempt = attempts.get(key) ?? { key, sessionId, runIds: new Set<string>() };
    attempts.set(key, attempt);
    const body = { content: `script:slowly ${key}` };
    const { runId } = await call<{ runId: string }>("POST", `/api/v1/sessions/${sessionId}/messages`, body, {
      "idempotency-key": key,
    });
    attempt.runIds.add(runId);
  };
  for (let kill = 0; kill < kills; kill++) {
    const stopAt = performance.now() + 30 + roll() * 200;
    const clients = [0, 1].map(async (client) => {
      for (let n = 0; performance.now() < stopAt; n++) {
        await post(`${kill}-${client}-${n}`, sessions[Math.floor(roll() * SESSIONS)] as string).catch(() => {});
      }
    });
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, stopAt - performance.now())));
    await victim.kill();
    await Promise.all(clients);
    victim = await Victim.start(dataDir, port, vars, bundle);
    const shaken = [...attempts.values()].filter(({ key }) => key.startsWith(`${kill}-`));
    for (const { key, sessionId } of shaken) await post(key, sessionId);
  }
  await victim.kill();
  victim = await Victim.start(dataDir, port, vars, bundle);
  try {
    const unfinished = await settled(
      victim,
      [...attempts.values()].flatMap(({ runIds }) => [...runIds]),
    );
    const damage = await inspect(victim.url, apiKey, sessions, [...attempts.values()]);
    return { tried: attempts.size, ...damage, unfinished };
  } finally {
    await victim.stop();
  }
}

/** Waits, without one request, until D1 shows every run at its end; answers those that never got there. */
async function settled(victim: Victim, runIds: string[]): Promise<string[]> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const ended = await victim.query<{ id: string }>(
      "SELECT id FROM runs WHERE status NOT IN ('queued', 'running', 'waiting_tool')",
    );
    const done = new Set(ended.map(({ id }) => id));
    const open = runIds.filter((id) => !done.has(id));
    if (open.length === 0 || Date.now() > deadline) return open;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function inspect(url: string, apiKey: string, sessions: string[], attempts: Attempt[]) {
  const lost: string[] = [];
  const doubled: string[] = [];
  const gaps: string[] = [];
  const events = new Map<string, StreamedEvent[]>();
  for (const sessionId of sessions) events.set(sessionId, await wholeLog(url, apiKey, sessionId));
  const seen = new Map<string, number>();
  const keyOfRun = new Map<string, string>();
  for (const [sessionId, log] of events) {
    if (log.some(({ id }, index) => id !== index)) gaps.push(sessionId);
    for (const { type, data } of log) {
      if (!LAST.includes(type)) continue;
      const runId = data.runId as string;
      seen.set(runId, (seen.get(runId) ?? 0) + 1);
    }
  }
  for (const { key, runIds } of attempts) {
    for (const runId of runIds) {
      keyOfRun.set(runId, key);
      const ends = seen.get(runId) ?? 0;
      if (ends === 0) lost.push(runId);
      if (ends > 1) doubled.push(runId);
    }
  }
  for (const runId of seen.keys()) if (!keyOfRun.has(runId)) doubled.push(`${runId} ran without an acknowledged key`);
  const unstableKeys = attempts.filter(({ runIds }) => runIds.size !== 1).map(({ key }) => key);
  return { acknowledged: keyOfRun.size, lost, doubled, unstableKeys, gaps };
}

/** Every event of a session. An empty session has none to wait for. */
async function wholeLog(url: string, apiKey: string, sessionId: string): Promise<StreamedEvent[]> {
  const call = api(url, { "x-api-key": apiKey });
  const { items } = await call<{ items: { runId?: string }[] }>(
    "GET",
    `/api/v1/sessions/${sessionId}/messages?direction=backward&pageSize=200`,
  );
  const open = new Set(items.flatMap(({ runId }) => (runId ? [runId] : [])));
  const log: StreamedEvent[] = [];
  if (open.size === 0) return log;
  await readEvents(
    { url, apiKey, sessionId, signal: AbortSignal.timeout(30_000) },
    (event) => log.push(event),
    ({ type, data }) => LAST.includes(type) && open.delete(data.runId as string) && open.size === 0,
  );
  return log;
}
