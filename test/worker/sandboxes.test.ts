import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { destroySandbox } from "#domain/sandbox/destroy-sandbox";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { stopSandbox } from "#domain/sandbox/stop-sandbox";
import { sweepPlaces } from "#domain/sandbox/sweep-places";
import { workspaceKey } from "#domain/workspace/values";
import { newId } from "#kernel/id";
import { actorOf, auditOf, ctxOf, eventually, newSandbox, newTeam, onlineHost, rowOf } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";

let agent: FakeAgent;
let teamId: string;
let id: string;

/** Each test has the platform to itself: placement must not choose the host of another. */
beforeEach(async () => {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  agent = await onlineHost();
  teamId = newTeam();
  id = await newSandbox(teamId);
});

const object = () => env.SANDBOX.getByName(id);
const running = async () => expect(await object().start(teamId)).toMatchObject({ ok: true });
const setState = (patch: Record<string, unknown>) =>
  runInDurableObject(object(), async (_, { storage }) => {
    const [row] = storage.sql.exec<{ state: string }>("SELECT state FROM sandbox").toArray();
    storage.sql.exec("UPDATE sandbox SET state = ?", JSON.stringify({ ...JSON.parse(row!.state), ...patch }));
    await storage.sync();
  });

test("the first route starts the sandbox and publishes it; the next one costs the host nothing", async () => {
  const first = await object().route(teamId);
  expect(first).toMatchObject({ ok: true, value: { address: agent.address, generation: 1 } });
  expect(await object().route(teamId)).toEqual(first);
  expect(agent.seen.map(({ method, act }) => [method, act])).toEqual([["PUT", "lifecycle"]]);
  expect(JSON.parse(agent.seen[0]!.body)).toMatchObject({ limits: { vcpus: 1, memoryMb: 512, diskMb: 5120 } });
  await eventually(async () =>
    expect(await rowOf("sandboxes", id)).toMatchObject({
      status: "running",
      host_id: agent.hostId,
      status_reason: null,
      started_at: expect.any(Number),
      last_active_at: expect.any(Number),
    }),
  );
  await eventually(async () => expect(await auditOf(id)).toEqual(["sandbox.started"]));
});

test("fifty callers of a cold sandbox share one boot and all get the answer", async () => {
  const calls = Array.from({ length: 50 }, (_, i) => (i % 2 ? object().start(teamId) : object().route(teamId)));
  const answers = await Promise.all(calls);
  expect(answers.every((answer) => answer.ok)).toBe(true);
  expect(agent.count("PUT")).toBe(1);
});

test.for(["get", "start", "stop", "destroy", "route"] as const)(
  "T1 %s of another team's sandbox is answered like that of a missing one, also once it is known",
  async (verb) => {
    const missing = await env.SANDBOX.getByName(newId("sandbox", Date.now()))[verb](teamId);
    expect(missing).toMatchObject({ ok: false, code: "sandbox_not_found" });
    expect(await object()[verb]("team_other")).toEqual(missing);
    await running();
    expect(await object()[verb]("team_other")).toEqual(missing);
    expect(await object().get(teamId)).toMatchObject({ value: { status: "running" } });
  },
);

test("without a host the caller is told, and the sandbox starts once there is one", async () => {
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  expect(await object().route(teamId)).toMatchObject({ ok: false, code: "no_hosts_available" });
  expect(await object().get(teamId)).toMatchObject({ value: { status: "pending" } });
  await env.DB.prepare("UPDATE hosts SET status = 'online' WHERE id = ?").bind(agent.hostId).run();
  await running();
});

test("a start the host refuses fails with its words, and the next request tries again", async () => {
  agent.refuseStart = "start_failed";
  expect(await object().start(teamId)).toMatchObject({ ok: false, code: "sandbox_failed", message: "start_failed" });
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "error" }));
  agent.refuseStart = undefined;
  expect(await object().route(teamId)).toMatchObject({ ok: true, value: { generation: 2 } });
  await eventually(async () => expect(await auditOf(id)).toEqual(["sandbox.failed", "sandbox.started"]));
});

test("H1 a start waits for a host agent that is restarting", async () => {
  agent.up = false;
  const started = object().start(teamId);
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "starting" }));
  agent.up = true;
  expect(await started).toMatchObject({ ok: true, value: { status: "running", generation: 1 } });
});

test("R11 a sandbox that never boots fails at its deadline, also after eviction, and is halted under a newer lease", async () => {
  agent.up = false;
  const started = object().start(teamId);
  started.catch(() => {});
  const placed = { status: "starting", hostId: agent.hostId };
  await eventually(async () => expect(await object().get(teamId)).toMatchObject({ value: placed }));
  await setState({ deadline: 0 });
  await runInDurableObject(object(), (_, state) => state.abort()).catch(() => {});
  await expect(started).rejects.toThrow();
  await eventually(async () => {
    await runDurableObjectAlarm(object());
    expect(await rowOf("sandboxes", id)).toMatchObject({ status: "error" });
  });
  agent.up = true;
  await eventually(async () => {
    await runDurableObjectAlarm(object());
    expect(agent.seen.at(-1)).toMatchObject({ method: "DELETE", generation: 2 });
  });
});

test("stop keeps the files, ends at once for the caller, and a route no longer starts the sandbox", async () => {
  await running();
  expect(await stopSandbox(ctxOf(actorOf(teamId)), id)).toMatchObject({ status: "stopping" });
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));
  expect([agent.running.has(id), agent.wiped.has(id)]).toEqual([false, false]);
  expect(await object().route(teamId)).toMatchObject({ ok: false, code: "sandbox_not_running" });
  expect(await auditOf(id)).toEqual(["sandbox.started", "sandbox.stopped"]);
  expect(await object().start(teamId)).toMatchObject({ ok: true, value: { status: "running" } });
});

test("destroy deletes the files, can be repeated, and is final", async () => {
  await running();
  await destroySandbox(ctxOf(actorOf(teamId)), id);
  await destroySandbox(ctxOf(actorOf(teamId)), id);
  await eventually(() => expect(agent.wiped.has(id)).toBe(true));
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));
  expect(await object().start(teamId)).toMatchObject({ ok: false, code: "sandbox_not_running" });
  expect(await auditOf(id)).toEqual(["sandbox.started", "sandbox.destroyed"]);
});

test("R180 destroy during a boot wins: the late start is of an older lease", async () => {
  let open = () => {};
  agent.gate = new Promise((resolve) => {
    open = resolve;
  });
  const started = object().start(teamId);
  await eventually(() => expect(agent.count("PUT")).toBe(1));
  await object().destroy(teamId);
  expect(await started).toMatchObject({ ok: false, code: "sandbox_not_running" });
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped" }));
  open();
  await eventually(() => expect(agent.wiped.has(id)).toBe(true));
  expect(agent.running.has(id)).toBe(false);
  expect(await object().get(teamId)).toMatchObject({ value: { status: "stopped" } });
});

test("a stop the host does not confirm ends at its deadline, and the host is told when it is back", async () => {
  await running();
  agent.up = false;
  await object().destroy(teamId);
  await setState({ deadline: 0 });
  await evictDurableObject(object());
  await runDurableObjectAlarm(object());
  await eventually(async () =>
    expect(await rowOf("sandboxes", id)).toMatchObject({ status: "stopped", status_reason: expect.any(String) }),
  );
  agent.up = true;
  await eventually(async () => {
    await runDurableObjectAlarm(object());
    expect(agent.wiped.has(id)).toBe(true);
  });
});

test("H1 a sandbox its host lost is started anew under the next lease, once for all who noticed", async () => {
  await running();
  agent.running.clear();
  const routes = await Promise.all(Array.from({ length: 10 }, () => object().route(teamId, { lost: 1 })));
  expect(routes).toEqual(routes.map(() => ({ ok: true, value: expect.objectContaining({ generation: 2 }) })));
  expect(agent.count("PUT")).toBe(2);
  await eventually(async () =>
    expect(await auditOf(id)).toEqual(["sandbox.started", "sandbox.lost", "sandbox.started"]),
  );
});

test("a caller who thinks the sandbox lost while it runs gets the same lease again", async () => {
  await running();
  expect(await object().route(teamId, { lost: 1 })).toMatchObject({ ok: true, value: { generation: 1 } });
  expect(agent.count("PUT")).toBe(1);
});

test("R181 a nudge turns the sandboxes of a silent host missing, and running again when it is back", async () => {
  await running();
  agent.up = false;
  await object().nudge();
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "missing" }));
  agent.up = true;
  await object().nudge();
  await eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running" }));
  expect(await object().get(teamId)).toMatchObject({ value: { generation: 1 } });
});

test("a running sandbox is still known after its object was evicted", async () => {
  await running();
  await eventually(async () => expect(await auditOf(id)).toHaveLength(1));
  await evictDurableObject(object());
  expect(await object().route(teamId)).toMatchObject({ ok: true, value: { generation: 1 } });
  expect(agent.count("PUT")).toBe(1);
});

test("R9 a directory that fails again and again is told in the end", async () => {
  await env.DB.prepare("ALTER TABLE sandboxes RENAME TO sandboxes_away").run();
  await object().adopt({
    id,
    teamId,
    vcpus: 1,
    memoryMb: 1,
    diskSizeMb: 1,
    timeoutSec: 0,
    templateId: null,
    disposable: false,
  });
  const started = object().start(teamId);
  started.catch(() => {});
  const wakeUp = async () => {
    await runInDurableObject(object(), (_, { storage }) => {
      storage.sql.exec("UPDATE outbox SET due = 0");
      return storage.setAlarm(Date.now());
    });
    await runDurableObjectAlarm(object());
  };
  for (let i = 0; i < 10; i++) await wakeUp();
  await env.DB.prepare("ALTER TABLE sandboxes_away RENAME TO sandboxes").run();
  // A call that failed while the table was away may still set its next one far ahead, so one waking is not enough.
  await eventually(async () => {
    await wakeUp();
    expect(await rowOf("sandboxes", id)).toMatchObject({ status: "running" });
  });
  expect(await started).toMatchObject({ ok: true });
});

test("R9 a storage that fails while an effect is noted does not stop the effects behind it", async () => {
  const restore = await runInDurableObject(object(), (_, { storage }) => {
    const prototype = Object.getPrototypeOf(storage.sql);
    const original = prototype.exec;
    prototype.exec = function (this: SqlStorage, query: string, ...values: unknown[]) {
      if (/^(UPDATE|DELETE FROM) outbox/.test(query)) throw new Error("the disk is full");
      return original.call(this, query, ...values);
    };
    return () => {
      prototype.exec = original;
    };
  });
  await running();
  restore();
  await eventually(async () => {
    await runDurableObjectAlarm(object());
    expect(await auditOf(id)).toEqual(["sandbox.started"]);
  });
  await runInDurableObject(object(), (_, { storage }) =>
    expect(storage.sql.exec("SELECT COUNT(*) AS n FROM outbox").one()).toEqual({ n: 0 }),
  );
});

test("a sandbox is found by its workspace's id, by its own team only", async () => {
  const workspaceId = newId("workspace", Date.now());
  await env.DB.prepare(
    "INSERT INTO workspaces (id, team_id, sandbox_id, name, created_by, created_at, updated_at) VALUES (?, ?, ?, 'w', 'u', 0, 0)",
  )
    .bind(workspaceId, teamId, id)
    .run();
  expect(await getSandbox(ctxOf(actorOf(teamId)), workspaceId)).toMatchObject({ id });
  await env.DB.prepare("UPDATE workspaces SET id = ? WHERE id = ?")
    .bind(workspaceKey(teamId, "mine"), workspaceId)
    .run();
  expect(await getSandbox(ctxOf(actorOf(teamId)), "mine")).toMatchObject({ id });
  for (const name of [id, workspaceId, "mine", workspaceKey(teamId, "mine"), "nonsense"]) {
    await expect(getSandbox(ctxOf(actorOf("team_other")), name)).rejects.toMatchObject({ code: "sandbox_not_found" });
  }
});

test.for([
  ["getSandbox", getSandbox, null, "no_team"],
  ["stopSandbox", stopSandbox, "viewer", "forbidden"],
  ["destroySandbox", destroySandbox, "viewer", "forbidden"],
] as const)("%s is refused without its permission", async ([, verb, role, code]) => {
  await expect(verb(ctxOf(actorOf(teamId, role)), id)).rejects.toMatchObject({ code });
  expect(await auditOf(id)).toEqual([]);
});

test("R8 the sweep wakes sandboxes and hosts that did not move on, and no others", async () => {
  await env.DB.prepare("UPDATE sandboxes SET status = 'stopped'").run();
  const system = ctxOf(actorOf("", null, "system"));
  expect(await sweepPlaces(system)).toBe(0);
  await env.DB.prepare("UPDATE sandboxes SET status = 'starting', updated_at = 0 WHERE id = ?").bind(id).run();
  await env.DB.prepare("UPDATE hosts SET last_heartbeat_at = 0 WHERE id = ?").bind(agent.hostId).run();
  expect(await sweepPlaces(system)).toBe(2);
});
