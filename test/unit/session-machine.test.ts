import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AttemptEnd,
  dueAt,
  initialSession,
  type Limits,
  MAX_LOST_ATTEMPTS,
  type SessionEffect,
  type SessionMachineEvent,
  type SessionState,
  STOP_GRACE_MS,
  step,
} from "#domain/session/machine";

const T0 = 1_000_000;
const LIMITS: Limits = { runTimeoutMs: 60_000 };

/** A state and what happened on the way to it. */
class Story {
  state: SessionState = initialSession;
  effects: SessionEffect[] = [];
  now = T0;

  on(event: SessionMachineEvent, later = 0): this {
    this.now += later;
    const stepped = step(this.state, event, this.now, LIMITS);
    if (!stepped.ok) throw new Error(stepped.code);
    this.state = stepped.value.state;
    this.effects = stepped.value.effects;
    return this;
  }
  send(n: number, whenBusy: "queue" | "interrupt" = "queue") {
    return this.on({ type: "send", runId: `r${n}`, messageId: `m${n}`, whenBusy });
  }
  end(end: AttemptEnd, attempt = this.state.active?.attempt ?? 0) {
    return this.on({ type: "ended", runId: this.state.active?.runId ?? "", attempt, end });
  }
  /** Effects in short: type, run and what matters of the rest. */
  get told(): string[] {
    return this.effects.map((effect) => {
      if (effect.type === "queue") return `${effect.action} ${effect.run.runId}@${effect.run.position}`;
      const more = effect.type === "ended" || effect.type === "status" ? ` ${effect.status}` : "";
      return `${effect.type} ${effect.runId}${more}`;
    });
  }
  get waiting(): string[] {
    return this.state.pending.map((run) => run.runId);
  }
}
const story = () => new Story();
const busy = () => story().send(1);

test("a message to an idle session starts at once", () => {
  expect(busy().told).toEqual(["accepted r1", "started r1"]);
});

test("a third message is second in the queue", () => {
  const s = busy().send(2);
  expect(s.told).toEqual(["accepted r2", "enqueued r2@1"]);
  expect(s.send(3).told).toEqual(["accepted r3", "enqueued r3@2"]);
});

test.for<[string, AttemptEnd, string[]]>([
  ["completes", { type: "completed" }, ["ended r1 completed", "dequeued r2@1", "started r2"]],
  ["fails", { type: "failed", code: "x", message: "y" }, ["ended r1 failed", "dequeued r2@1", "started r2"]],
  ["crashes", { type: "crashed" }, ["resumed r1"]],
  ["is aborted by nobody", { type: "aborted" }, ["resumed r1"]],
])("the queue when the active run %s", ([, end, told]) => {
  expect(busy().send(2).end(end).told).toEqual(told);
});

test("an interrupt promotes the new run and stops the active one, others keep their place", () => {
  const s = busy().send(2).send(3, "interrupt");
  expect(s.told).toEqual(["accepted r3", "promoted r3@0", "cancel_requested r1", "abort r1"]);
  expect(s.waiting).toEqual(["r3", "r2"]);
  expect(s.end({ type: "aborted" }).told).toEqual(["ended r1 cancelled", "dequeued r3@0", "started r3"]);
});

test("guiding promotes and interrupts once; afterwards it does nothing", () => {
  const s = busy().send(2).send(3).on({ type: "guide", runId: "r3" });
  expect(s.told).toEqual(["promoted r3@0", "cancel_requested r1", "abort r1"]);
  expect(s.end({ type: "aborted" }).on({ type: "guide", runId: "r3" }).told).toEqual([]);
  expect(s.end({ type: "completed" }).on({ type: "guide", runId: "r3" }).told).toEqual([]);
});

test("R7 a cancelled queued run stays listed, never starts, and does not stop the queue", () => {
  const s = busy().send(2).send(3).on({ type: "cancel", runId: "r2" });
  expect(s.told).toEqual(["cancel_requested r2"]);
  expect(s.state.pending[0]).toMatchObject({ runId: "r2", cancelRequestedAt: T0 });
  expect(s.on({ type: "cancel", runId: "r2" }).told).toEqual([]);
  expect(s.on({ type: "guide", runId: "r2" }).told).toEqual([]);
  expect(s.end({ type: "completed" }).told).toEqual([
    "ended r1 completed",
    "dequeued r2@1",
    "ended r2 cancelled",
    "dequeued r3@2",
    "started r3",
  ]);
});

test("R7 a running run is stopped, and ends as cancelled whatever its loop says", () => {
  const s = busy().on({ type: "cancel", runId: "r1" });
  expect(s.told).toEqual(["cancel_requested r1", "abort r1"]);
  expect(s.on({ type: "cancel", runId: "r1" }).told).toEqual([]);
  expect(s.end({ type: "completed" }).told).toEqual(["ended r1 cancelled"]);
  expect(s.on({ type: "cancel", runId: "r1" }).told).toEqual([]);
});

test("R7 a loop that does not unwind is left behind after its grace", () => {
  const s = busy().on({ type: "cancel", runId: "r1" });
  expect(dueAt(s.state)).toBe(T0 + STOP_GRACE_MS);
  expect(s.on({ type: "tick" }, STOP_GRACE_MS - 1).told).toEqual([]);
  expect(s.on({ type: "tick" }, 1).told).toEqual(["ended r1 cancelled"]);
  expect(s.end({ type: "completed" }, 1).told).toEqual([]);
});

test("R11 a run times out at its absolute deadline, also across a restart", () => {
  expect(dueAt(busy().state)).toBe(T0 + 60_000);
  const alive = busy().on({ type: "tick" }, 60_000);
  expect(alive.told).toEqual(["abort r1"]);
  expect(alive.end({ type: "aborted" }).effects).toMatchObject([
    { status: "timed_out", error: { code: "run_timed_out" } },
  ]);
  expect(busy().on({ type: "resumed" }, 60_000).told).toEqual(["ended r1 timed_out"]);
});

test("a cancel that was under way when the object restarted is carried out", () => {
  expect(busy().on({ type: "cancel", runId: "r1" }).on({ type: "resumed" }).told).toEqual(["ended r1 cancelled"]);
});

test("R10 a run whose attempts store nothing is given up, and the next one starts", () => {
  const s = busy().send(2).on({ type: "resumed" });
  expect(s.told).toEqual(["resumed r1"]);
  expect(s.on({ type: "resumed" }).told).toEqual([]);
  expect(s.on({ type: "tick" }, dueAt(s.state)! - s.now).told).toEqual(["resumed r1"]);
  expect(s.on({ type: "resumed" }).told).toEqual(["ended r1 failed", "dequeued r2@1", "started r2"]);
});

test("a run that makes progress survives any number of restarts", () => {
  const s = busy();
  for (let i = 0; i < 10 * MAX_LOST_ATTEMPTS; i++) {
    expect(s.on({ type: "resumed" }).told).toEqual(["resumed r1"]);
    s.on({ type: "progressed" });
  }
  expect(s.state.active).toMatchObject({ attempt: 1 + 10 * MAX_LOST_ATTEMPTS, lost: 0 });
});

test("a run waits for tools while one is in flight", () => {
  const s = busy().on({ type: "tools", inFlight: 2 });
  expect(s.told).toEqual(["status r1 waiting_tool"]);
  expect(s.on({ type: "tools", inFlight: 1 }).told).toEqual([]);
  expect(s.on({ type: "tools", inFlight: 0 }).told).toEqual(["status r1 running"]);
});

test("a queue that is full refuses the next message", () => {
  const pending = Array.from({ length: 1_000 }, (_, i) => ({
    runId: `p${i}`,
    messageId: `m${i}`,
    position: i + 1,
    cancelRequestedAt: null,
  }));
  const full = { ...busy().state, pending };
  expect(step(full, { type: "send", runId: "r", messageId: "m", whenBusy: "queue" }, T0, LIMITS)).toMatchObject({
    ok: false,
    code: "queue_full",
  });
});

const runNumber = fc.integer({ min: 1, max: 12 });
const command = fc.oneof(
  fc.record({ type: fc.constant("send" as const), interrupt: fc.boolean() }),
  fc.record({ type: fc.constant("cancel" as const), run: runNumber }),
  fc.record({ type: fc.constant("guide" as const), run: runNumber }),
  fc.record({ type: fc.constant("end" as const), how: fc.constantFrom("completed", "crashed", "aborted") }),
  fc.record({ type: fc.constant("resumed" as const) }),
  fc.record({ type: fc.constant("progressed" as const) }),
  fc.record({ type: fc.constant("tick" as const), later: fc.integer({ min: 0, max: 20_000 }) }),
);

test("R2 R7 R10 whatever happens, runs are serial, end exactly once, and the queue drains", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const s = story();
      const log: string[] = [];
      const cancelledWhileQueued = new Set<string>();
      let sent = 0;
      const act = (event: SessionMachineEvent, later = 0) => {
        log.push(...s.on(event, later).told);
        // Nothing waits while nothing runs.
        expect(s.state.active !== null || s.state.pending.length === 0).toBe(true);
      };
      for (const each of commands) {
        if (each.type === "send") {
          sent++;
          const whenBusy = each.interrupt ? "interrupt" : "queue";
          act({ type: "send", runId: `r${sent}`, messageId: `m${sent}`, whenBusy });
        } else if (each.type === "cancel" || each.type === "guide") {
          const runId = `r${each.run}`;
          if (each.type === "cancel" && s.waiting.includes(runId)) cancelledWhileQueued.add(runId);
          act({ type: each.type, runId });
        } else if (each.type === "end") {
          const { runId = "", attempt = 0 } = s.state.active ?? {};
          act({ type: "ended", runId, attempt, end: { type: each.how as "completed" } });
        } else if (each.type === "tick") act({ type: "tick" }, each.later);
        else act({ type: each.type });
      }
      for (let i = 0; s.state.active && i < 200; i++) {
        const { runId, attempt } = s.state.active;
        act({ type: "tick" }, 1_000);
        act({ type: "ended", runId, attempt, end: { type: "completed" } });
      }
      expect(s.state).toEqual(initialSession);
      for (let n = 1; n <= sent; n++) {
        expect(log.filter((entry) => entry.startsWith(`ended r${n} `))).toHaveLength(1);
        expect(log.filter((entry) => entry === `started r${n}`).length).toBe(cancelledWhileQueued.has(`r${n}`) ? 0 : 1);
      }
      let running = "";
      for (const entry of log) {
        const [what, run = ""] = entry.split(" ");
        if (what === "started") {
          expect(running).toBe("");
          running = run;
        } else if (what === "ended" && run === running) running = "";
      }
    }),
    { numRuns: 500 },
  );
});
