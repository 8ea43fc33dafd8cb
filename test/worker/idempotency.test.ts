import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createWorkspace } from "#domain/workspace/create-workspace";
import { fingerprintOf, once } from "#http/idempotency";
import { DAY, HOUR, MINUTE, SECOND } from "#kernel/time";
import { countOf, type Tenant, tenant } from "#test/worker/harness";

const create = (t: Tenant, key: string, name: string) =>
  t.call("POST", "/api/v1/workspaces", { name, runtime: "base" }, { "idempotency-key": key });

test("the same key and body make one workspace and one answer; the repeat says so (R6)", async () => {
  const t = await tenant();
  const [first, second] = [await create(t, "k", "n"), await create(t, "k", "n")];
  expect(second).toMatchObject({ status: 201, text: first.text });
  expect(first.headers.get("idempotent-replayed")).toBeNull();
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(await countOf("workspaces", "team_id = ?", t.teamId)).toBe(1);
});

test("another body under the key is 422, another path or team is another request (R6)", async () => {
  const [t, other] = [await tenant(), await tenant()];
  const first = await create(t, "k", "n");
  expect(await create(t, "k", "m")).toMatchObject({ status: 422, body: { error: { code: "idempotency_key_reused" } } });
  expect((await create(other, "k", "n")).body.id).not.toBe(first.body.id);
  const session = await t.call("POST", `/api/v1/workspaces/${first.body.id}/sessions`, {}, { "idempotency-key": "k" });
  expect(session.status).toBe(201);
});

test("a key that is not plain is refused", async () => {
  const t = await tenant();
  for (const key of ["x".repeat(256), "a b"]) expect((await create(t, key, "n")).status).toBe(400);
});

test("fifty at once under one key make one workspace; those that came too early are told to wait (R6)", async () => {
  const t = await tenant();
  const answers = await Promise.all(Array.from({ length: 50 }, () => create(t, "k", "n")));
  expect(answers.filter(({ status }) => status !== 201 && status !== 409)).toEqual([]);
  expect(new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text)).size).toBe(1);
  expect(await countOf("workspaces", "team_id = ?", t.teamId)).toBe(1);
  expect((await create(t, "k", "n")).status).toBe(201);
});

test("a refusal without effect frees the key, so the corrected request goes through", async () => {
  const t = await tenant();
  const send = (runtime: string) =>
    t.call("POST", "/api/v1/workspaces", { name: "n", runtime }, { "idempotency-key": "k" });
  expect((await send("nope")).status).toBe(404);
  expect((await send("base")).status).toBe(201);
});

type Crash = "before the effect" | "after the effect" | "while storing the answer" | "none";
const CRASHES: Crash[] = ["before the effect", "after the effect", "while storing the answer", "none"];

/** Lets the claims of a principal look as old as a crashed holder's. */
const expireLeases = (keyId: string) =>
  runInDurableObject(env.PRINCIPAL.getByName(keyId), (_, { storage }) => {
    storage.sql.exec("UPDATE claims SET lease_until = 0").toArray();
  });

test("whatever crashes in between, the repeats make exactly one set of rows (R6)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...CRASHES), { maxLength: 5 }), fc.uuid(), async (crashes, key) => {
      const t = await tenant();
      const attempt = (crash: Crash) => {
        const ctx = { ...t.ctx, actor: { ...t.ctx.actor, principal: t.principal } };
        const principals: typeof ctx.principals = {
          principal: (id) => {
            const handle = ctx.principals.principal(id);
            const die = (): never => {
              throw new Error("crashed");
            };
            return {
              ...handle,
              settle: (k, answer) => (crash === "while storing the answer" ? die() : handle.settle(k, answer)),
              // A crashed isolate releases nothing.
              release: async () => {},
            };
          },
        };
        return once({ ...ctx, principals }, { key, scope: "POST /x", body: {}, secret: false }, async (seeded) => {
          if (crash === "before the effect") throw new Error("crashed");
          const input = { name: "n", runtime: "base", executionPolicy: "local" } as const;
          const { workspace } = await createWorkspace(seeded, input);
          if (crash === "after the effect") throw new Error("crashed");
          return { status: 201, body: { id: workspace.id, sandboxId: workspace.sandboxId } };
        });
      };
      const seen = new Set<string>();
      for (const crash of [...crashes, "none" as const, "none" as const]) {
        const answer = await attempt(crash).catch(() => undefined);
        if (answer) seen.add(JSON.stringify(answer.body));
        else await expireLeases(t.principal);
      }
      expect(seen.size).toBe(1);
      expect(await countOf("workspaces", "team_id = ?", t.teamId)).toBe(1);
      expect(await countOf("sandboxes", "team_id = ?", t.teamId)).toBe(1);
      expect(await countOf("audit_entries", "team_id = ? AND action = 'workspace.created'", t.teamId)).toBe(1);
    }),
    { numRuns: 25 },
  );
});

test("an effect that may have happened keeps the key for the same request", async () => {
  const t = await tenant();
  const ctx = { ...t.ctx, actor: { ...t.ctx.actor, principal: t.principal } };
  const ids: string[] = [];
  const attempt = (fail: boolean, body: unknown = {}) =>
    once(ctx, { key: "k", scope: "POST /x", body, secret: false }, async (seeded) => {
      ids.push(seeded.newId("workspace"));
      if (fail) throw new Error("crashed");
      return { status: 201, body: {} };
    });
  await expect(attempt(true)).rejects.toThrow("crashed");
  await expect(attempt(false, { other: true })).rejects.toMatchObject({ code: "idempotency_mismatch" });
  expect(await attempt(false)).toMatchObject({ status: 201, replayed: false });
  expect(new Set(ids).size).toBe(1);
});

test("answers are forgotten after a day, by the object's own alarm", async () => {
  const t = await tenant();
  await create(t, "k", "n");
  const object = env.PRINCIPAL.getByName(t.principal);
  await runInDurableObject(object, (_, { storage }) => {
    storage.sql.exec("UPDATE claims SET claimed_at = 0").toArray();
  });
  expect(await runDurableObjectAlarm(object)).toBe(true);
  const left = await runInDurableObject(object, (_, { storage }) => storage.sql.exec("SELECT * FROM claims").toArray());
  expect(left).toEqual([]);
  expect((await t.call("GET", "/api/v1/workspaces")).status).toBe(200);
});

test("keys that grow old one after another are forgotten together, at most once an hour", async () => {
  const t = await tenant();
  for (const key of ["a", "b"]) await create(t, key, "n");
  const object = env.PRINCIPAL.getByName(t.principal);
  const soon = Date.now() - DAY + SECOND;
  await runInDurableObject(object, (_, { storage }) => {
    storage.sql.exec("UPDATE claims SET claimed_at = ?", soon).toArray();
  });
  await runDurableObjectAlarm(object);
  const next = await runInDurableObject(object, (_, { storage }) => storage.getAlarm());
  expect(next).toBeGreaterThan(Date.now() + HOUR - MINUTE);
});

test("a message sent twice under one key is one message and one run (R6)", async () => {
  const t = await tenant();
  const path = `/api/v1/sessions/${await t.session()}/messages`;
  const send = (content: string) => t.call("POST", path, { content }, { "idempotency-key": "k" });
  const [first, second] = [await send("hi"), await send("hi")];
  expect(second).toMatchObject({ status: 202, body: { messageId: first.body.messageId, runId: first.body.runId } });
  expect((await send("other")).status).toBe(422);
});

test("fingerprints do not depend on the order of keys", async () => {
  expect(await fingerprintOf({ a: 1, b: [{ c: 2, d: 3 }] })).toBe(await fingerprintOf({ b: [{ d: 3, c: 2 }], a: 1 }));
  expect(await fingerprintOf({ a: 1 })).not.toBe(await fingerprintOf({ a: "1" }));
});
