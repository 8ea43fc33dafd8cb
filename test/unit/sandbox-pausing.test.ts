import { expect, test } from "vitest";
import { idleAt } from "#domain/sandbox/idle";
import { step, stillWanted } from "#domain/sandbox/machine";
import { withNews } from "#domain/sandbox/news";
import type { SandboxEvent, SandboxState } from "#domain/sandbox/state";
import { SANDBOX_STATUSES } from "#domain/sandbox/status";
import { at, EVENTS, G, T0 } from "#test/node/sandbox-states";

const by = { kind: "user", id: "usr_1", name: "U", credentialId: null, requestId: "r" } as const;

/** The state after some events, each of the current lease, and what the last of them had done. */
function after(state: SandboxState, ...events: SandboxEvent[]) {
  let last = { state, effects: [] as ReturnType<typeof withNews> };
  for (const event of events) {
    const current = "generation" in event ? { ...event, generation: last.state.generation } : event;
    const next = step(last.state, current, T0);
    if (!next.ok) throw new Error(next.message);
    last = { state: next.value.state, effects: withNews(last.state, next.value, T0) };
  }
  const news = last.effects.flatMap((effect) => (effect.type === "record" && effect.news ? [effect.news] : []));
  const audited = last.effects.flatMap((effect) => (effect.type === "record" && effect.action ? [effect] : []));
  return { ...last, news, audited, asked: last.effects.filter((effect) => "generation" in effect) };
}

test("a pause freezes under the same lease; it is audited and told once it is done, in the name of who asked (A20)", () => {
  const begun = after(at("running"), { type: "pause", by });
  expect(begun.asked).toEqual([expect.objectContaining({ type: "freeze", generation: G })]);
  expect([begun.news, begun.audited]).toEqual([[], []]);
  const done = after(begun.state, EVENTS.frozen);
  expect(done.state).toMatchObject({ status: "paused", frozen: true, by });
  expect(done.audited).toEqual([expect.objectContaining({ action: "sandbox.paused", by })]);
  expect(done.news).toEqual([{ type: "capsule.pause", outcome: "success", reason: null }]);
});

test("a resumption thaws under the same lease, and is audited and told once it is done (A20)", () => {
  const begun = after(at("paused"), { type: "resume", by });
  expect(begun.asked).toEqual([expect.objectContaining({ type: "thaw", generation: G })]);
  const done = after(begun.state, EVENTS.thawed);
  expect(done.audited).toEqual([expect.objectContaining({ action: "sandbox.resumed", by })]);
  expect(done.news).toEqual([{ type: "capsule.resume", outcome: "success", reason: null }]);
});

test("R179 of two pauses the second is refused, and so is a resumption of what runs or an idle pause of what does not", () => {
  const { state } = after(at("running"), EVENTS.pause);
  expect(step(state, EVENTS.pause, T0)).toMatchObject({ ok: false, code: "sandbox_not_running" });
  expect(step(at("running"), EVENTS.resume, T0)).toMatchObject({ ok: false, code: "sandbox_not_running" });
  expect(after(at("paused"), EVENTS.idle).effects).toEqual([]);
});

test("a pause that failed leaves the sandbox running, is audited and told with its reason, and undone at the host (R384)", () => {
  const failed = after(at("running"), { type: "pause", by }, EVENTS["not_frozen: refused"]);
  expect(failed.state).toMatchObject({ status: "running", reason: "no" });
  expect(failed.news).toEqual([{ type: "capsule.pause", outcome: "error", error: "no", reason: null }]);
  expect(failed.audited).toEqual([
    expect.objectContaining({ action: "sandbox.paused", failed: true, reason: "no", by }),
  ]);
  expect(failed.asked).toEqual([expect.objectContaining({ type: "thaw", generation: G })]);
  expect(stillWanted(failed.asked[0]!, failed.state)).toBe(true);
  expect(stillWanted(failed.asked[0]!, after(failed.state, EVENTS.pause).state)).toBe(false);
});

test("a resumption that failed leaves the sandbox paused, is audited and told with its reason, and undone at the host (R384)", () => {
  const failed = after(at("paused"), { type: "resume", by }, EVENTS["not_thawed: silent"]);
  expect(failed.state).toMatchObject({ status: "paused", frozen: true, reason: "gone" });
  expect(failed.news).toEqual([{ type: "capsule.resume", outcome: "error", error: "gone", reason: null }]);
  expect(failed.audited).toEqual([
    expect.objectContaining({ action: "sandbox.resumed", failed: true, reason: "gone", by }),
  ]);
  expect(failed.asked).toEqual([expect.objectContaining({ type: "freeze", generation: G })]);
  expect(after(failed.state, EVENTS.frozen).news).toEqual([]);
});

test("an idle sandbox is paused by the system, with the reason", () => {
  const done = after(at("running", { by }), EVENTS.idle, EVENTS.frozen);
  expect(done.news).toEqual([{ type: "capsule.pause", outcome: "success", reason: "ttl_expired" }]);
  expect(done.audited).toEqual([expect.objectContaining({ action: "sandbox.paused", reason: "ttl_expired" })]);
  expect(done.audited[0]).not.toHaveProperty("by");
});

test("an idle sandbox that cannot be paused ends, unless it has a workspace's files", () => {
  const kept = after(at("running"), EVENTS.idle, EVENTS["not_frozen: refused"]);
  expect(kept.state).toMatchObject({ status: "running", wiped: false });
  expect(kept.news).toEqual([{ type: "capsule.pause", outcome: "error", error: "no", reason: null }]);
  const ended = after(at("running", { disposable: true }), EVENTS.idle, EVENTS["not_frozen: refused"]);
  expect(ended.state).toMatchObject({ status: "stopped", wiped: true });
  expect(ended.asked).toEqual([expect.objectContaining({ type: "halt", files: "wipe" })]);
  expect(ended.audited.map(({ action, failed = false }) => [action, failed])).toEqual([
    ["sandbox.paused", true],
    ["sandbox.destroyed", false],
  ]);
  expect(ended.news).toEqual([
    { type: "capsule.pause", outcome: "error", error: "no", reason: "ttl_expired" },
    { type: "capsule.destroy", outcome: "success", reason: "ttl_expired" },
  ]);
  const silent = after(at("running", { disposable: true }), EVENTS.idle, EVENTS["not_frozen: silent"]);
  expect(silent.state).toMatchObject({ status: "missing", wiped: false });
  expect(silent.audited.map(({ action, failed = false }) => [action, failed])).toEqual([
    ["sandbox.paused", true],
    ["sandbox.lost", false],
  ]);
});

test.for(["pausing", "resuming"] as const)("R180 a destruction while %s wins, over every late answer", (status) => {
  const { state, asked } = after(at(status), { ...EVENTS.destroy, by });
  expect(asked).toEqual([expect.objectContaining({ type: "halt", generation: G + 1, files: "wipe" })]);
  for (const late of [EVENTS.frozen, EVENTS.thawed, EVENTS.booted, EVENTS["found: running"], EVENTS["found: paused"]]) {
    expect(step(state, late, T0)).toMatchObject({ ok: true, value: { effects: [] } });
    expect(after(state, late).state.status).toBe("stopping");
  }
  const over = after(state, EVENTS.halted);
  expect(over.news).toEqual([{ type: "capsule.destroy", outcome: "success", reason: null }]);
});

test("a paused sandbox whose host lost its memory is started anew with its files, and says so", () => {
  const lost = after(at("paused", { disposable: true }), EVENTS.resume, EVENTS["ended: files are there"]);
  expect(lost.state).toMatchObject({ status: "resuming", generation: G + 1, frozen: false });
  expect(lost.asked).toEqual([expect.objectContaining({ type: "boot", generation: G + 1 })]);
  expect(stillWanted(lost.asked[0]!, lost.state)).toBe(true);
  const done = after(lost.state, EVENTS.booted);
  expect(done.state).toMatchObject({ status: "running", reason: expect.stringContaining("lost") });
  expect(done.news).toEqual([{ type: "capsule.resume", outcome: "success", reason: "host_failure" }]);
  const failed = after(lost.state, EVENTS["not_booted: silent"]);
  expect(failed.state).toMatchObject({ status: "paused", frozen: false, generation: G + 2 });
  expect(failed.asked).toEqual([expect.objectContaining({ type: "halt", files: "keep" })]);
  expect(after(failed.state, EVENTS.resume).asked).toEqual([
    expect.objectContaining({ type: "boot", generation: G + 3 }),
  ]);
});

test("a sandbox that its host says stands still is let go on, unless it was to be paused", () => {
  expect(after(at("running"), EVENTS["found: paused"]).asked).toEqual([expect.objectContaining({ type: "thaw" })]);
  expect(after(at("pausing"), EVENTS["found: paused"]).effects).toEqual([]);
  expect(after(at("missing"), EVENTS["found: paused"]).state).toMatchObject({ status: "paused", frozen: true });
});

test("R181 without a workspace what its host lost is started again with its files, and over if they are gone", () => {
  const again = after(at("missing", { disposable: true }), EVENTS["ended: files are there"]);
  expect(again.asked).toEqual([expect.objectContaining({ type: "boot", generation: G + 1 })]);
  const over = after(at("missing", { disposable: true, by }), EVENTS["ended: nothing is there"]);
  expect(over.news).toEqual([{ type: "capsule.destroy", outcome: "success", reason: "host_failure" }]);
  expect(over.audited).toEqual([expect.not.objectContaining({ by })]);
});

test.for(SANDBOX_STATUSES)("R146 R147 R148 only a running sandbox becomes idle, not a %s one", (status) => {
  const state = at(status);
  expect(idleAt(state, 0, T0)).toBe(null);
  expect(idleAt(state, 60, T0)).toBe(status === "running" ? T0 + 60_000 : null);
  expect(idleAt(state, 60, null)).toBe(status === "running" ? 1 + 60_000 : null);
});
