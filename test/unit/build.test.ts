import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDuration } from "#domain/build/duration";
import { isForgiven, parseHealthCheck } from "#domain/build/health-check";
import {
  BUILD_DEADLINE_MS,
  type BuildEvent,
  type BuildState,
  initialBuild,
  isOver,
  step,
  taskOf,
} from "#domain/build/machine";
import { planOf } from "#domain/build/plan";
import { expand, filledIn, parseInstruction, saysSomething } from "#domain/build/recipe";
import { unwrap } from "#kernel/fault";

describe("durations", () => {
  test.for([
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["500ms", 500],
    ["1.5h", 5_400_000],
    ["0", 0],
  ] as const)("%s", ([text, ms]) => expect(parseDuration(text)).toBe(ms));

  test.for(["", "30", "s", "-1s", "1s ", "1 s", "1d", "0x1s", "1e3s"])("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test("parts are added up", () => {
    const part = fc.integer({ min: 0, max: 999 });
    fc.assert(
      fc.property(part, part, part, (h, m, ms) => {
        expect(parseDuration(`${h}h${m}m${ms}ms`)).toBe(h * 3_600_000 + m * 60_000 + ms);
      }),
    );
  });
});

describe("lines of a recipe", () => {
  test.for([
    ["RUN npm ci && npm test", { type: "run", command: "npm ci && npm test", timeoutMs: 30_000 }],
    ["RUN --timeout=5m make  all", { type: "run", command: "make  all", timeoutMs: 300_000 }],
    ["run echo hi", { type: "run", command: "echo hi", timeoutMs: 30_000 }],
    ["  START node server.js ", { type: "start", command: "node server.js" }],
    ["ENV A=b=c d", { type: "env", name: "A", value: "b=c d" }],
    ["ENV EMPTY=", { type: "env", name: "EMPTY", value: "" }],
    ["WORKDIR /workspace/app", { type: "workdir", path: "/workspace/app" }],
    ["USER sandbox", { type: "user", name: "sandbox" }],
    ["COPY a b/ c", { type: "copy", sources: ["a", "b/"], target: "c" }],
  ] as const)("%s (A12, R416)", ([line, instruction]) => expect(parseInstruction(line)).toEqual(instruction));

  test.for(["FROM x", "RUN", "RUN --timeout=5 x", "RUN --timeout=7h x", "RUN --timeout=1s", "RUN --x=1 y", "ENV A"])(
    "%s fails when its turn comes (R416)",
    (line) => expect(parseInstruction(line)).toMatchObject({ type: "invalid" }),
  );
  test.for(["ENV 1=a", "USER a b", "USER Root!", "COPY a", "constructor x", "__proto__ x", "toString x"])(
    "%s as well",
    (line) => expect(parseInstruction(line)).toMatchObject({ type: "invalid" }),
  );

  test("no line at all makes it throw", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (line) => void parseInstruction(line)));
    const word = fc.constantFrom("RUN", "START", "ENV", "WORKDIR", "USER", "COPY");
    fc.assert(fc.property(word, fc.string(), (name, rest) => void parseInstruction(`${name} ${rest}`)));
  });

  test("empty lines and comments say nothing", () => {
    expect(["", "   ", "# x", "  # y", "RUN x", "x # y"].filter(saysSomething)).toEqual(["RUN x", "x # y"]);
  });

  test.for([
    ["$A-$(A)-$$A-<$B$(B)>$", "1-1-$A-<>$"],
    ["$1 $(1) $[A", "$1 $(1) $[A"],
    ["$(__proto__)$constructor", ""],
  ] as const)("%s is filled in (R416), with braces for parentheses", ([text, expected]) => {
    const braces = (one: string) => one.replaceAll("(", "{").replaceAll(")", "}").replaceAll("[", "{");
    expect(expand(braces(text), { A: "1" })).toBe(braces(expected));
  });

  test("text without dollar signs stays, doubled ones come back single, and values are not filled in again", () => {
    const text = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(text, (value) => {
        const plain = value.replaceAll("$", "");
        expect(expand(plain, {})).toBe(plain);
        expect(expand(value.replaceAll("$", "$$$$"), {})).toBe(value);
        expect(expand("<$A>", { A: value })).toBe(`<${value}>`);
      }),
    );
  });

  test("quotes around a value are taken off, single ones keep it as it is", () => {
    expect(["'$A b'", '"$A b"', "$A b", `"$A'`].map((value) => filledIn(value, { A: "1" }))).toEqual([
      ...["$A b", "1 b", "1 b", `"1'`],
    ]);
  });
});

describe("health checks", () => {
  const usual = { intervalMs: 3_000, timeoutMs: 10_000, startPeriodMs: 0, retries: 0 };
  test.for([
    ["curl -f localhost", { ...usual, command: "curl -f localhost" }],
    ["--interval=1s --timeout=2s --start-period=1m --retries=5 true", { intervalMs: 1_000, startPeriodMs: 60_000 }],
    ["--retries=3 cmd --retries=9", { command: "cmd --retries=9", retries: 3 }],
  ] as const)("%s (A12)", ([line, check]) => expect(parseHealthCheck(line)).toMatchObject(check));

  test.for(["", "--retries=2", "--retries=x y", "--retries=-1 y", "--interval=0 y", "--timeout=2h y", "--x=1 y"])(
    "%j is none (R412)",
    (line) => expect(parseHealthCheck(line)).toBeTypeOf("string"),
  );

  test("failures count after the start period, and as many as retries are forgiven (R420)", () => {
    const check = { ...usual, command: "x", startPeriodMs: 1000, retries: 2 };
    expect([isForgiven(check, 999, 0), isForgiven(check, 1000, 2), isForgiven(check, 1000, 3)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe("the plan", () => {
  const spec = { recipe: ["RUN a"], healthCheck: "b", vcpus: null, memoryMb: null, skipPrePost: false, archive: null };
  test("the recipe stands between what every build does, and the health check comes last", () => {
    expect(planOf(spec).map(({ phase }) => phase)).toEqual(["pre-build", "recipe", "post-build", "post-build"]);
    expect(planOf({ ...spec, skipPrePost: true, healthCheck: null }).map(({ cmd }) => cmd)).toEqual(["RUN a"]);
    expect(planOf(spec)[0]?.work).toMatchObject({ type: "run", timeoutMs: 600_000 });
  });
});

describe("the machine", () => {
  const reached = (...events: BuildEvent[]) =>
    events.reduce((state, event) => unwrap(step(state, event, 10)).state, initialBuild(2, 0));
  const ready: BuildEvent = { type: "ready", hostId: "host_1" };

  test("goes through its steps in order, then the template is taken (R415)", () => {
    expect([initialBuild(1, 0), reached(ready)].map(taskOf)).toEqual(["prepare", "step"]);
    const done = reached(ready, { type: "step_done", step: 0 }, { type: "step_done", step: 1 });
    expect([taskOf(done), done.done]).toEqual(["take", 2]);
    expect(
      reached(ready, { type: "step_done", step: 0 }, { type: "step_done", step: 1 }, { type: "taken" }),
    ).toMatchObject({
      ...{ status: "success", completedAt: 10, hostId: "host_1" },
    });
    expect(reached(ready, { type: "taken" }).status).toBe("running");
  });

  test("ENV adds up, folder and user stay until they change (R416)", () => {
    const changes = { env: { A: "1" }, cwd: "/a", user: "u", start: { command: "s", cwd: "a" } };
    const state = reached(
      ready,
      { type: "step_done", step: 0, changes },
      { type: "step_done", step: 1, changes: { env: { B: "2" } } },
    );
    expect(state).toMatchObject({
      env: { A: "1", B: "2" },
      cwd: "/a",
      user: "u",
      starts: [{ command: "s", cwd: "a" }],
    });
  });

  test("its time is up at last", () => {
    expect(unwrap(step(reached(ready), { type: "tick" }, BUILD_DEADLINE_MS - 1)).state.status).toBe("running");
    expect(unwrap(step(reached(ready), { type: "tick" }, BUILD_DEADLINE_MS)).state.status).toBe("failed");
  });

  const event: fc.Arbitrary<BuildEvent> = fc.oneof(
    fc.constantFrom<BuildEvent>(
      ready,
      { type: "taken" },
      { type: "cancel" },
      { type: "tick" },
      { type: "failed", message: "x" },
    ),
    fc.record({
      type: fc.constantFrom("step_begun", "step_running", "step_done"),
      step: fc.nat(2),
    }) as fc.Arbitrary<BuildEvent>,
    fc.record({ type: fc.constant("step_failed" as const), step: fc.nat(2), message: fc.constant("x") }),
  );

  test("however events come, it ends once, tidies up once, and then stays as it is (R414)", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        let state: BuildState = initialBuild(2, 0);
        let cleaned = 0;
        for (const each of events) {
          const before = state;
          const stepped = step(state, each, 10);
          expect(stepped.ok).toBe(!(isOver(before) && each.type === "cancel"));
          if (!stepped.ok) continue;
          state = stepped.value.state;
          cleaned += stepped.value.effects.filter(({ type }) => type === "clean").length;
          if (isOver(before)) expect(state).toBe(before);
          expect(state.done).toBeGreaterThanOrEqual(before.done);
          expect(state.done - before.done).toBeLessThanOrEqual(1);
        }
        expect(cleaned).toBe(isOver(state) ? 1 : 0);
        expect(state.completedAt === null).toBe(!isOver(state));
      }),
    );
  });
});
