import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import type { Ctx } from "#domain/context";
import { contextFor, countOf } from "#test/worker/harness";
import { withPassword } from "#test/worker/visitor";
import { runJobs } from "../../src/jobs.ts";

const scheduler = (log: Partial<Ctx["log"]> = {}): Ctx => {
  const ctx = contextFor(systemActor("scheduler"));
  return { ...ctx, log: { ...ctx.log, ...log } };
};

test("a job that fails is told and keeps none of the others", async () => {
  const [done, told]: [string[], unknown[]] = [[], []];
  const ctx = scheduler({
    error: (_, fields) => void told.push(fields?.job),
    warn: (_, fields) => void told.push(fields),
  });
  await runJobs(ctx, {
    first: async () => void done.push("first"),
    broken: () => Promise.reject(new Error("broken")),
    last: async () => done.push("last"),
    idle: async () => 0,
  });
  expect(done).toEqual(["first", "last"]);
  expect(told).toEqual(["broken", { job: "last", mended: 2 }]);
});

test("every minute what has expired is forgotten, and accounts that are due are removed (R68)", async () => {
  const p = await withPassword();
  const insert = "INSERT INTO one_time_tokens VALUES (?, 'activation', 'usr_x', 0, ?)";
  await env.DB.batch([
    env.DB.prepare(insert).bind("dead", Date.now()),
    env.DB.prepare(insert).bind("alive", Date.now() + 60_000),
    env.DB.prepare("UPDATE users SET status = 'deleted', deleted_at = 1 WHERE id = ?").bind(p.userId),
  ]);
  const failed: unknown[] = [];
  await runJobs(scheduler({ error: (...args) => void failed.push(args) }));
  expect(failed).toEqual([]);
  expect(await countOf("one_time_tokens", "hash IN ('dead', 'alive')")).toBe(1);
  expect(await countOf("users", "id = ?", p.userId)).toBe(0);
});
