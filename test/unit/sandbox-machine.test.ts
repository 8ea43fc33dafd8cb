import fc from "fast-check";
import { expect, test } from "vitest";
import {
  BOOT_DEADLINE_MS,
  HALT_DEADLINE_MS,
  initialSandbox,
  isMoving,
  type SandboxEvent,
  type SandboxState,
  step,
  stillWanted,
} from "#domain/sandbox/machine";
import { SANDBOX_STATUSES, type SandboxStatus } from "#domain/sandbox/status";

const T0 = 1_000_000;
const G = 7;

const at = (status: SandboxStatus, more: Partial<SandboxState> = {}): SandboxState => ({
  ...initialSandbox,
  status,
  generation: G,
  hostId: "host_a",
  address: "127.0.0.1:1",
  deadline: status === "starting" || status === "stopping" ? T0 : null,
  ...more,
});

const EVENTS = {
  start: { type: "start" },
  placed: { type: "placed", generation: G, hostId: "host_a", address: "127.0.0.1:2" },
  not_placed: { type: "not_placed", generation: G, code: "no_hosts_available", message: "none" },
  booted: { type: "booted", generation: G },
  "not_booted: refused": { type: "not_booted", generation: G, code: "sandbox_failed", message: "no" },
  "not_booted: silent": { type: "not_booted", generation: G, code: "host_lost", message: "gone" },
  lost: { type: "lost", generation: G, message: "gone" },
  found: { type: "found", generation: G },
  stop: { type: "stop", files: "keep" },
  destroy: { type: "stop", files: "wipe" },
  halted: { type: "halted", generation: G },
  tick: { type: "tick" },
} satisfies Record<string, SandboxEvent>;

type Outcome = SandboxStatus | "refused";
/** What changes; every status and event that is not listed stays where it is. */
const CHANGES: Record<keyof typeof EVENTS, Partial<Record<SandboxStatus, Outcome>>> = {
  start: {
    pending: "starting",
    missing: "starting",
    error: "starting",
    stopped: "starting",
    stopping: "refused",
    pausing: "refused",
    paused: "refused",
    resuming: "refused",
    hibernated: "refused",
  },
  placed: {},
  not_placed: { starting: "missing" },
  booted: { starting: "running" },
  "not_booted: refused": { starting: "error" },
  "not_booted: silent": { starting: "missing" },
  lost: { running: "missing" },
  found: { missing: "running" },
  stop: {
    pending: "stopping",
    starting: "stopping",
    running: "stopping",
    missing: "stopping",
    error: "stopping",
    pausing: "stopping",
    paused: "stopping",
    resuming: "stopping",
    hibernated: "stopping",
  },
  destroy: Object.fromEntries(SANDBOX_STATUSES.map((status) => [status, "stopping"])),
  halted: { stopping: "stopped" },
  tick: { starting: "error", stopping: "stopped" },
};

const cases = SANDBOX_STATUSES.flatMap((status) =>
  Object.entries(EVENTS).map(([name, event]) => {
    const to: Outcome = CHANGES[name as keyof typeof EVENTS][status] ?? status;
    return [status, name, to, event] as const;
  }),
);

test.for(cases)("a %s sandbox, on %s, is %s", ([status, , to, event]) => {
  const next = step(at(status), event, T0);
  expect(next.ok ? next.value.state.status : "refused").toBe(to);
});

const fenced = cases.filter(([, , , event]) => "generation" in event);
test.for(fenced)("R4 a %s sandbox ignores %s of an older lease", ([status, , , event]) => {
  const next = step(at(status, { generation: G + 1 }), event, T0);
  expect(next).toEqual({ ok: true, value: { state: at(status, { generation: G + 1 }), effects: [] } });
});

test("a sandbox that no host has room for waits for the next start", () => {
  const next = step(at("starting", { hostId: null, address: null }), EVENTS.not_placed, T0);
  expect(next).toMatchObject({ ok: true, value: { state: { status: "pending", fault: "no_hosts_available" } } });
});

test("a sandbox that was never placed stops without asking a host", () => {
  const next = step(initialSandbox, EVENTS.destroy, T0);
  expect(next).toMatchObject({ ok: true, value: { state: { status: "stopped", wiped: true } } });
  if (next.ok) expect(next.value.effects.map((effect) => effect.type)).toEqual(["publish", "record"]);
});

test.for(SANDBOX_STATUSES)("a destroyed sandbox that is %s never starts again", (status) => {
  const next = step(at(status, { wiped: true }), EVENTS.start, T0);
  const moves = next.ok && next.value.state.status !== status;
  expect(moves).toBe(false);
});

test("starting twice boots once", () => {
  const first = step(at("pending"), EVENTS.start, T0);
  if (!first.ok) throw new Error(first.message);
  expect(first.value.effects.map((effect) => effect.type)).toEqual(["publish", "boot"]);
  expect(first.value.state.generation).toBe(G + 1);
  expect(step(first.value.state, EVENTS.start, T0)).toMatchObject({ ok: true, value: { effects: [] } });
});

test("R386 a destruction is audited once, in the name of who asked", () => {
  const by = { kind: "user", id: "usr_1", name: "U", credentialId: null, requestId: "r" } as const;
  const first = step(at("running"), { ...EVENTS.destroy, by }, T0);
  if (!first.ok) throw new Error(first.message);
  expect(first.value.effects).toContainEqual(expect.objectContaining({ action: "sandbox.destroyed", by }));
  for (const status of ["stopping", "stopped"] as const) {
    const again = step({ ...first.value.state, status }, EVENTS.destroy, T0);
    expect(again).toMatchObject({ ok: true, value: { effects: [] } });
  }
});

test("destroying a sandbox that is stopping takes its files too", () => {
  const next = step(at("stopping"), EVENTS.destroy, T0);
  expect(next).toMatchObject({ ok: true, value: { state: { status: "stopping", generation: G + 1 } } });
  if (next.ok) expect(next.value.effects).toContainEqual(expect.objectContaining({ type: "halt", files: "wipe" }));
});

test.for([
  ["starting", BOOT_DEADLINE_MS],
  ["stopping", HALT_DEADLINE_MS],
] as const)("R11 %s ends at its deadline and not before", ([status, deadline]) => {
  const state = at(status, { deadline: T0 + deadline });
  expect(step(state, EVENTS.tick, T0 + deadline - 1)).toMatchObject({ ok: true, value: { state: { status } } });
  const late = step(state, EVENTS.tick, T0 + deadline);
  expect(late.ok && isMoving(late.value.state)).toBe(false);
});

test("a boot that ran out of time is halted under a newer lease, so that it cannot come up later", () => {
  const next = step(at("starting"), EVENTS.tick, T0);
  if (!next.ok) throw new Error(next.message);
  const { state, effects } = next.value;
  const halt = effects.find((effect) => effect.type === "halt");
  expect(halt).toMatchObject({ generation: G + 1, files: "keep" });
  expect(halt && stillWanted(halt, state)).toBe(true);
  const again = step(state, EVENTS.start, T0);
  expect(halt && again.ok && stillWanted(halt, again.value.state)).toBe(false);
});

test("whatever happens, a moving sandbox has a deadline and the lease never goes back", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...Object.values(EVENTS)), { maxLength: 40 }), (events) => {
      let state = initialSandbox;
      for (const [i, event] of events.entries()) {
        const current = "generation" in event ? { ...event, generation: state.generation } : event;
        const next = step(state, current, T0 + i);
        if (!next.ok) continue;
        expect(next.value.state.generation).toBeGreaterThanOrEqual(state.generation);
        state = next.value.state;
        expect(state.deadline !== null).toBe(isMoving(state));
      }
    }),
  );
});
