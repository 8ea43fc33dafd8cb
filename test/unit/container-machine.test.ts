import fc from "fast-check";
import { expect, test } from "vitest";
import { CONTAINER_STATUSES, type ContainerState, type ContainerVerb, planFor } from "#domain/container/machine";
import { CONTAINER_SIZES, sizeFor } from "#domain/container/sizes";

const at = (text: string): ContainerState | undefined => {
  const [status, generation] = text.split(" ");
  return status === "unknown" ? undefined : ({ status, generation: Number(generation) } as ContainerState);
};

test.for<[before: string, verb: ContainerVerb, generation: number, alive: boolean, steps: string, after: string]>([
  ["unknown", "start", 1, false, "launch boot", "running 1"],
  ["running 1", "start", 1, true, "boot", "running 1"],
  ["running 1", "start", 2, true, "boot", "running 2"],
  ["running 1", "start", 2, false, "launch boot", "running 2"],
  ["stopped 2", "start", 3, false, "launch boot", "running 3"],
  ["paused 1", "start", 2, false, "launch boot", "running 2"],
  ["wiped 2", "start", 3, false, "launch boot", "running 3"],
  ["running 1", "freeze", 1, true, "stand save destroy", "paused 1"],
  ["paused 1", "freeze", 1, false, "", "paused 1"],
  ["paused 1", "freeze", 1, true, "destroy", "paused 1"],
  ["running 1", "freeze", 1, false, "sandbox_not_running", ""],
  ["running 1", "freeze", 2, true, "sandbox_not_running", ""],
  ["paused 1", "thaw", 1, false, "launch boot", "running 1"],
  ["paused 1", "thaw", 1, true, "destroy launch boot", "running 1"],
  ["running 1", "thaw", 1, true, "", "running 1"],
  ["stopped 1", "thaw", 1, false, "sandbox_not_running", ""],
  ["running 1", "stop", 2, true, "halt save destroy", "stopped 2"],
  ["running 1", "stop", 2, false, "", "stopped 2"],
  ["paused 1", "stop", 2, false, "", "stopped 2"],
  ["paused 1", "stop", 2, true, "destroy", "stopped 2"],
  ["stopped 2", "stop", 2, false, "", "stopped 2"],
  ["stopped 2", "stop", 2, true, "halt save destroy", "stopped 2"],
  ["unknown", "stop", 1, false, "", "wiped 1"],
  ["running 1", "wipe", 2, true, "destroy forget", "wiped 2"],
  ["paused 1", "wipe", 2, false, "forget", "wiped 2"],
  ["wiped 2", "wipe", 2, false, "forget", "wiped 2"],
  ["running 2", "start", 1, true, "stale_generation", ""],
  ["stopped 2", "wipe", 1, false, "stale_generation", ""],
])("%s: %s under %i, container alive %s: %s, then %s", ([before, verb, generation, alive, steps, after]) => {
  const plan = planFor(at(before), verb, generation, alive);
  expect(plan.ok ? plan.steps.join(" ") : plan.code).toBe(steps);
  if (plan.ok) expect(plan.after).toEqual(at(after));
});

test("files are never given up without having been saved, unless a wipe asked for it", () => {
  const states = fc.record({ status: fc.constantFrom(...CONTAINER_STATUSES), generation: fc.nat(3) });
  const verbs = fc.constantFrom<ContainerVerb>("start", "freeze", "thaw", "stop", "wipe");
  fc.assert(
    fc.property(states, verbs, fc.nat(3), fc.boolean(), (state, verb, generation, alive) => {
      const plan = planFor(state, verb, generation, alive);
      if (!plan.ok || verb === "wipe" || !plan.steps.includes("destroy")) return;
      // A paused sandbox was saved when it was paused; a wiped one has no files.
      const isSaved = plan.steps.indexOf("save") === plan.steps.indexOf("destroy") - 1;
      expect(isSaved || state.status === "paused" || state.status === "wiped").toBe(true);
    }),
  );
});

test("a sandbox gets the smallest instance that holds it, and none when it is larger than all", () => {
  expect(sizeFor({ vcpus: 1, memoryMb: 512, diskMb: 5120 })?.name).toBe("standard-2");
  expect(sizeFor({ vcpus: 1 / 16, memoryMb: 128, diskMb: 1000 })?.name).toBe("lite");
  expect(sizeFor({ vcpus: 4, memoryMb: 12_288, diskMb: 20_000 })?.name).toBe("standard-4");
  expect(sizeFor({ vcpus: 8, memoryMb: 1024, diskMb: 1000 })).toBeUndefined();
  expect(sizeFor({ vcpus: 1, memoryMb: 16_384, diskMb: 1000 })).toBeUndefined();
  const wanted = fc.record({
    vcpus: fc.integer({ min: 1, max: 6 }),
    memoryMb: fc.integer({ min: 128, max: 16_384 }),
    diskMb: fc.integer({ min: 1024, max: 24_000 }),
  });
  fc.assert(
    fc.property(wanted, (want) => {
      const holds = (size: typeof want) =>
        size.vcpus >= want.vcpus && size.memoryMb >= want.memoryMb && size.diskMb >= want.diskMb;
      expect(sizeFor(want)).toBe(CONTAINER_SIZES.find(holds));
    }),
  );
});
