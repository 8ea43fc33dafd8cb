import type { SandboxLimits } from "#domain/sandbox/limits";
import type { Sandbox } from "#domain/sandbox/repo";
import { Fault } from "#kernel/fault";

/** The shortest time of idleness that pauses a sandbox, in seconds. */
const SHORTEST_TIMEOUT_SEC = 60;
const BYTES_PER_MB = 1024 * 1024;
const DEFAULTS = { vcpus: 1, memoryMb: 512, diskSizeMb: 5_120 } as const;

export type Sizes = Pick<Sandbox, "vcpus" | "memoryMb" | "diskSizeMb" | "timeoutSec">;
type Fixed = { vcpus: number | null; memoryMb: number | null; sizeBytes: number };

/**
 * The sizes a new sandbox has, from what was asked for. 0 and less mean the default (platform R143), sizes that the
 * template has are the template's (R152), a disk is cut to the limit but never smaller than the template's files (R150),
 * and a time of idleness is a minute at least, or 0 for never (R145). `invalid` beyond the other limits. Pure.
 */
export function sizesOf(asked: Partial<Sizes>, template: Fixed, limits: SandboxLimits): Sizes {
  const vcpus = template.vcpus ?? orDefault(asked.vcpus, DEFAULTS.vcpus);
  const memoryMb = template.memoryMb ?? orDefault(asked.memoryMb, DEFAULTS.memoryMb);
  const disk = Math.min(orDefault(asked.diskSizeMb, DEFAULTS.diskSizeMb), limits.maxDiskMb);
  const { timeoutSec = 0 } = asked;
  if (vcpus > limits.maxVcpus) throw new Fault("invalid", `a capsule has at most ${limits.maxVcpus} vcpus`);
  if (memoryMb > limits.maxMemoryMb)
    throw new Fault("invalid", `a capsule has at most ${limits.maxMemoryMb} MB of memory`);
  if (timeoutSec < 0) throw new Fault("invalid", "timeout_sec must not be below 0");
  return {
    vcpus,
    memoryMb,
    diskSizeMb: Math.max(disk, Math.ceil(template.sizeBytes / BYTES_PER_MB)),
    timeoutSec: timeoutSec === 0 ? 0 : Math.max(timeoutSec, SHORTEST_TIMEOUT_SEC),
  };
}

const orDefault = (asked: number | undefined, size: number): number =>
  asked === undefined || asked <= 0 ? size : asked;
