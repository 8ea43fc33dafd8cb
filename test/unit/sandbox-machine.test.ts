import fc from "fast-check";
import { expect, test } from "vitest";
import { step, stillWanted } from "#domain/sandbox/machine";
import { initialSandbox, isMoving, type SandboxEvent, type SandboxState } from "#domain/sandbox/state";
import { SANDBOX_STATUSES } from "#domain/sandbox/status";
import { BOOT_DEADLINE_MS, HALT_DEADLINE_MS, PAUSE_DEADLINE_MS, RESUME_DEADLINE_MS } from "#domain/sandbox/steps";
import { at, casesOf, DISPOSABLE, EVENTS, G, KEPT, type Outcome, T0 } from "#test/node/sandbox-states";

const outcomeOf = (state: SandboxState, event: SandboxEvent): Outcome => {
  const next = step(state, event, T0);
  return next.ok ? next.value.state.status : "refused";
};
const taken = (state: SandboxState, event: SandboxEvent, now = T0) => {
  const next = step(state, event, now);
  if (!next.ok) throw new Error(next.message);
  return next.value;
};

test.for(casesOf(KEPT))("a %s sandbox of a workspace, on %s, is %s", ([status, , to, event]) => {
  expect(outcomeOf(at(status), event)).toBe(to);
});

test.for(casesOf(DISPOSABLE))("a %s sandbox without a workspace, on %s, is %s", ([status, , to, event]) => {
  expect(outcomeOf(at(status, { disposable: true }), event)).toBe(to);
});

test.for(casesOf(KEPT).filter(([, , , event]) => "generation" in event))(
  "R4 R336 a %s sandbox ignores %s of an older lease",
  ([status, , , event]) => {
    const state = at(status, { generation: G + 1 });
    expect(step(state, event, T0)).toEqual({ ok: true, value: { state, effects: [] } });
  },
);

test.for(casesOf(KEPT).filter(([status]) => status === "stopped"))(
  "R336 nothing but a start or a destruction moves a %s sandbox: %s",
  ([status, name, to]) => {
    if (name !== "start" && name !== "destroy" && to !== "refused") expect(to).toBe(status);
  },
);

test("a sandbox that no host has room for waits for the next start", () => {
  const next = step(at("starting", { hostId: null, address: null }), EVENTS.not_placed, T0);
  expect(next).toMatchObject({ ok: true, value: { state: { status: "pending", fault: "no_hosts_available" } } });
});

test.for(["not_placed", "not_booted: refused", "not_booted: silent", "tick"] as const)(
  "a creation without a workspace that fails by %s is an error for good, and cleaned up",
  (name) => {
    const { state, effects } = taken(at("starting", { disposable: true, startedAt: null }), EVENTS[name]);
    expect(state).toMatchObject({ status: "error", wiped: true, cause: "cleanup_after_create_error" });
    expect(effects).toContainEqual(expect.objectContaining({ type: "halt", generation: G + 1, files: "wipe" }));
    expect(outcomeOf(state, EVENTS.start)).toBe("refused");
    expect(step(state, EVENTS.destroy, T0)).toMatchObject({ ok: true, value: { effects: [] } }); // R162
  },
);

test("a sandbox that was never placed stops without asking a host", () => {
  const { state, effects } = taken(initialSandbox, EVENTS.destroy);
  expect(state).toMatchObject({ status: "stopped", wiped: true });
  expect(effects.map((effect) => effect.type)).toEqual(["publish", "record"]);
});

test("R386 a destruction is audited once, in the name of who asked", () => {
  const by = { kind: "user", id: "usr_1", name: "U", credentialId: null, requestId: "r" } as const;
  const first = taken(at("running"), { ...EVENTS.destroy, by });
  expect(first.effects).toContainEqual(expect.objectContaining({ action: "sandbox.destroyed", by }));
  for (const status of ["stopping", "stopped"] as const) {
    expect(taken({ ...first.state, status }, EVENTS.destroy).effects).toEqual([]);
  }
});

test.for(SANDBOX_STATUSES)("a destroyed sandbox that is %s never runs again", (status) => {
  for (const event of [EVENTS.start, EVENTS.resume]) {
    const next = step(at(status, { wiped: true }), event, T0);
    expect(next.ok && next.value.state.status !== status).toBe(false);
  }
});

test("starting twice boots once", () => {
  const { state, effects } = taken(at("pending"), EVENTS.start);
  expect(effects.map((effect) => effect.type)).toEqual(["publish", "boot"]);
  expect(state.generation).toBe(G + 1);
  expect(taken(state, EVENTS.start).effects).toEqual([]);
});

test("destroying a sandbox that is stopping takes its files too", () => {
  const { state, effects } = taken(at("stopping"), EVENTS.destroy);
  expect(state).toMatchObject({ status: "stopping", generation: G + 1 });
  expect(effects).toContainEqual(expect.objectContaining({ type: "halt", files: "wipe" }));
});

test.for([
  ["starting", BOOT_DEADLINE_MS],
  ["pausing", PAUSE_DEADLINE_MS],
  ["resuming", RESUME_DEADLINE_MS],
  ["stopping", HALT_DEADLINE_MS],
] as const)("R11 %s ends at its deadline and not before", ([status, deadline]) => {
  const state = at(status, { deadline: T0 + deadline });
  expect(taken(state, EVENTS.tick, T0 + deadline - 1).state.status).toBe(status);
  expect(isMoving(taken(state, EVENTS.tick, T0 + deadline).state)).toBe(false);
});

test("a boot that ran out of time is halted under a newer lease, so that it cannot come up later", () => {
  const { state, effects } = taken(at("starting"), EVENTS.tick);
  const halt = effects.find((effect) => effect.type === "halt");
  expect(halt).toMatchObject({ generation: G + 1, files: "keep" });
  expect(halt && stillWanted(halt, state)).toBe(true);
  expect(halt && stillWanted(halt, taken(state, EVENTS.start).state)).toBe(false);
});

test.for([false, true])(
  "whatever happens, a moving sandbox has a deadline and the lease never goes back (disposable: %s)",
  (disposable) => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...Object.values(EVENTS)), { maxLength: 40 }), (events) => {
        let state: SandboxState = { ...initialSandbox, disposable };
        for (const [i, event] of events.entries()) {
          const current = "generation" in event ? { ...event, generation: state.generation } : event;
          const next = step(state, current, T0 + i);
          if (!next.ok) continue;
          const { state: after, effects } = next.value;
          expect(after.generation).toBeGreaterThanOrEqual(state.generation);
          expect(after.deadline !== null).toBe(isMoving(after));
          // A workspace's files go by nobody's doing but a destruction.
          if (!disposable && after.wiped && !state.wiped) expect(event).toMatchObject({ files: "wipe" });
          // What was asked for is under way, and by what the machine still wants.
          const wanted = effects.filter((effect) => "generation" in effect && stillWanted(effect, after));
          if (isMoving(after) && !isMoving(state)) expect(wanted).toHaveLength(1);
          state = after;
        }
      }),
    );
  },
);
