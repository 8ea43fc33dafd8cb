import fc from "fast-check";
import { expect, test } from "vitest";
import { eventActor } from "#domain/event/actors";
import { resumeStream, streamId } from "#domain/event/resume-stream";
import type { Bounds } from "#domain/feed/resume";
import { withNews } from "#domain/sandbox/news";
import { initialSandbox, type SandboxEffect, type SandboxState } from "#domain/sandbox/state";
import type { SandboxStatus } from "#domain/sandbox/status";
import { TeamEvent } from "#protocol/team-feed";

const LOG = "abc123";

type Start = { why: string; id: string | undefined; log: Bounds; start?: { after: number }; reset?: RegExp };

test.for<Start>([
  { why: "no id", id: undefined, log: { oldest: 1, newest: 9 }, start: { after: 9 } },
  { why: "no id, an empty log", id: undefined, log: null, start: { after: 9 } },
  { why: "the middle", id: "abc123-4", log: { oldest: 1, newest: 9 }, start: { after: 4 } },
  { why: "the beginning", id: "abc123-0", log: { oldest: 1, newest: 9 }, start: { after: 0 } },
  { why: "everything seen", id: "abc123-9", log: { oldest: 1, newest: 9 }, start: { after: 9 } },
  { why: "everything seen, and all of it gone", id: "abc123-9", log: null, start: { after: 9 } },
  { why: "the last event that is gone", id: "abc123-4", log: { oldest: 5, newest: 9 }, start: { after: 4 } },
  { why: "an event before those that are gone", id: "abc123-3", log: { oldest: 5, newest: 9 }, reset: /are gone/ },
  { why: "events that are all gone", id: "abc123-8", log: null, reset: /are gone/ },
  { why: "the future", id: "abc123-10", log: { oldest: 1, newest: 9 }, reset: /never given out/ },
  { why: "another log", id: "xyz123-4", log: { oldest: 1, newest: 9 }, reset: /another stream/ },
  ...[
    "",
    "4",
    "-4",
    "abc123",
    "abc123-",
    "abc123--1",
    "abc123-04",
    "abc123-1e1",
    "ABC123-4",
    "abc123-4 ",
    "ábc123-4",
  ].map((id) => ({ why: `the garbage "${id}"`, id, log: { oldest: 1, newest: 9 }, reset: /none of this server's/ })),
])("S2 a stream after $why", ({ id, log, start, reset }) => {
  const got = resumeStream(id, LOG, 10, log);
  expect(got).toEqual(start ?? { after: 0, reset: expect.stringMatching(reset!) });
});

test("S1 S2 whatever is kept, a reader gets all it has not seen, or is told that it does not", () => {
  const logs = fc.record({ next: fc.integer({ min: 1, max: 50 }), kept: fc.nat(50), seen: fc.nat(60) });
  fc.assert(
    fc.property(logs, ({ next, kept, seen }) => {
      const oldest = Math.max(1, next - kept);
      const bounds = oldest < next ? { oldest, newest: next - 1 } : null;
      const { after, reset } = resumeStream(streamId(LOG, seen), LOG, next, bounds);
      const complete = seen < next && seen + 1 >= oldest;
      expect(reset === undefined).toBe(complete);
      expect(after).toBe(complete ? seen : 0);
    }),
  );
});

const at = (status: SandboxStatus, more: Partial<SandboxState> = {}): SandboxState => ({
  ...initialSandbox,
  status,
  ...more,
});
const publish: SandboxEffect = { type: "publish" };
const record: SandboxEffect = { type: "record", action: "sandbox.x", at: 5, reason: null };

test.for<[string, SandboxState, SandboxState, object | undefined]>([
  [
    "a first boot",
    at("starting"),
    at("running", { startedAt: 1 }),
    { type: "capsule.create", outcome: "success", reason: null },
  ],
  ["a later boot", at("starting", { startedAt: 1 }), at("running", { startedAt: 1 }), undefined],
  [
    "a first boot that fails",
    at("starting"),
    at("error", { reason: "no" }),
    { type: "capsule.create", outcome: "error", error: "no", reason: null },
  ],
  ["a later boot that fails", at("starting", { startedAt: 1 }), at("error", { startedAt: 1 }), undefined],
  ["a boot without a host", at("starting"), at("pending", { reason: "none" }), undefined],
  ["a stop that keeps the files", at("stopping"), at("stopped"), undefined],
  [
    "a destruction",
    at("stopping", { wiped: true }),
    at("stopped", { wiped: true }),
    { type: "capsule.destroy", outcome: "success", reason: null },
  ],
  [
    "a destruction that no host confirmed",
    at("stopping", { wiped: true }),
    at("stopped", { wiped: true, reason: "in time", cause: "host_failure" }),
    { type: "capsule.destroy", outcome: "success", reason: "host_failure" },
  ],
  ["a loss", at("running", { startedAt: 1 }), at("missing", { startedAt: 1 }), undefined],
])("R374 R367 %s is told as it should be, once", ([, before, after, news]) => {
  const told = { type: "tell", from: before.status, to: after.status, at: 5 };
  const alone = withNews(before, { state: after, effects: [publish] }, 5);
  expect(alone).toEqual([
    publish,
    told,
    ...(news ? [{ type: "record", action: null, at: 5, reason: null, news }] : []),
  ]);
  const both = withNews(before, { state: after, effects: [publish, record] }, 5);
  expect(both).toEqual([publish, told, news ? { ...record, news } : record]);
});

test("R371 what does not change the status is told to nobody", () => {
  expect(withNews(at("running"), { state: at("running"), effects: [publish] }, 1)).toEqual([publish]);
});

test.for([
  ["user", "user"],
  ["anonymous", "user"],
  ["api_key", "api_key"],
  ["host", "system"],
  ["system", "system"],
] as const)("R370 a %s acts as %s", ([kind, type]) => {
  expect(eventActor({ kind, id: "i", name: "n" })).toEqual({ type, id: "i", name: "n" });
});

const common = {
  teamId: "team_1",
  resource: { id: "sb_1", type: "sandbox" },
  actor: { type: "system", id: "system", name: "system" },
  metadata: {},
  at: 1,
};

test("R367 R368 an outcome is of actions alone, and an error of those that failed", () => {
  expect(TeamEvent.safeParse({ ...common, type: "capsule.create" }).success).toBe(false);
  expect(TeamEvent.safeParse({ ...common, type: "capsule.create", outcome: "error" }).success).toBe(false);
  expect(TeamEvent.parse({ ...common, type: "capsule.create", outcome: "success", error: "x" })).not.toHaveProperty(
    "error",
  );
  expect(TeamEvent.parse({ ...common, type: "host.up", outcome: "success" })).not.toHaveProperty("outcome");
  expect(TeamEvent.safeParse({ ...common, type: "capsule.state.changed" }).success).toBe(false);
});
