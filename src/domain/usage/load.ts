import type { SandboxStatus } from "#domain/sandbox/status";

/** What sandboxes take up of what their team may have: how many run, and the processors and memory reserved for them. */
export type Load = { running: number; vcpus: number; memoryMb: number };

export const NO_LOAD: Load = { running: 0, vcpus: 0, memoryMb: 0 };

/** What one sandbox counts for: all of it while it starts and runs, half its memory while it is paused (platform R278). */
export function loadOf(status: SandboxStatus, { vcpus, memoryMb }: Omit<Load, "running">): Load {
  if (status === "starting" || status === "running") return { running: 1, vcpus, memoryMb };
  if (status === "paused") return { ...NO_LOAD, memoryMb: Math.ceil(memoryMb / 2) };
  return NO_LOAD;
}

const each = (a: Load, b: Load, fold: (a: number, b: number) => number): Load => ({
  running: fold(a.running, b.running),
  vcpus: fold(a.vcpus, b.vcpus),
  memoryMb: fold(a.memoryMb, b.memoryMb),
});

export const plus = (a: Load, b: Load): Load => each(a, b, (x, y) => x + y);
export const minus = (a: Load, b: Load): Load => each(a, b, (x, y) => x - y);
export const maximum = (a: Load, b: Load): Load => each(a, b, Math.max);

export const isSameLoad = (a: Load, b: Load): boolean =>
  a.running === b.running && a.vcpus === b.vcpus && a.memoryMb === b.memoryMb;
