import { sizeFor } from "#domain/container/sizes";
import type { Db } from "#domain/context";
import { bringsOwnHosts, findHost, type HostLoad, listHostLoads } from "#domain/host/repo";
import type { SandboxSpec } from "#domain/sandbox/ports";
import { ok, type Result, refuse } from "#kernel/fault";
import { CONTAINER_HOST } from "#protocol/container";

/**
 * A sandbox's sizes are ceilings that most never reach, so a host takes as many as would fill it this many times.
 * Processors are shared without a limit.
 */
const MEMORY_OVERCOMMIT = 4;
const DISK_OVERCOMMIT = 10;
const MB_PER_GB = 1024;

export type Placement = { hostId: string; address: string };

/** When a deployment runs sandboxes in containers of the platform: never, where no host has room, or always. */
export const CONTAINER_USES = ["never", "fallback", "always"] as const;
export type ContainerUse = (typeof CONTAINER_USES)[number];

const CONTAINER: Placement = { hostId: CONTAINER_HOST, address: CONTAINER_HOST };

/**
 * Where to start a sandbox. One that has been somewhere returns there, because its files are there: `host_lost` while
 * that host is away. Any other goes to the fitting host with the most room, or into a container of the platform, unless
 * its team brings its own hosts; else `no_hosts_available`. One that no container is large enough for is `invalid` where
 * there are only containers.
 */
export async function placeSandbox(
  db: Db,
  spec: SandboxSpec,
  hostId: string | null,
  containers: ContainerUse,
): Promise<Result<Placement>> {
  if (hostId !== null) {
    if (hostId === CONTAINER_HOST) return ok(CONTAINER);
    const host = await findHost(db, hostId);
    if (host?.status === "online" && host.address) return ok({ hostId, address: host.address });
    return refuse("host_lost", "the host that holds the sandbox's files is not online");
  }
  const ownHosts = containers !== "never" && (await bringsOwnHosts(db, spec.teamId));
  const onlyContainers = containers === "always" && !ownHosts;
  const best = onlyContainers ? undefined : chooseHost(await listHostLoads(db, spec.teamId), spec);
  if (best) return ok({ hostId: best.id, address: best.address });
  const fits = sizeFor({ vcpus: spec.vcpus, memoryMb: spec.memoryMb, diskMb: spec.diskSizeMb }) !== undefined;
  // A template's files come from the control plane, which a container cannot reach.
  const isEmpty = spec.templateId === null;
  if (containers !== "never" && !ownHosts && fits && isEmpty) return ok(CONTAINER);
  if (onlyContainers && !fits) return refuse("invalid", "the sandbox is larger than the largest container");
  if (onlyContainers) return refuse("no_hosts_available", "a container begins empty, and there is no host");
  return refuse("no_hosts_available", "no host has room for the sandbox");
}

/** Where the agent of a place is reached; undefined when it never said so, or is gone. */
export async function findAddress(db: Db, hostId: string): Promise<string | undefined> {
  if (hostId === CONTAINER_HOST) return CONTAINER.address;
  return (await findHost(db, hostId))?.address ?? undefined;
}

/** The host with the largest remaining share of its tightest resource (R340); undefined when none fits. */
export function chooseHost(hosts: readonly HostLoad[], need: SandboxSpec): HostLoad | undefined {
  let best: HostLoad | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const host of hosts) {
    const memory = left(host.memoryMb, MEMORY_OVERCOMMIT, host.usedMemoryMb + need.memoryMb);
    const disk = left(
      host.diskGb === null ? null : host.diskGb * MB_PER_GB,
      DISK_OVERCOMMIT,
      host.usedDiskMb + need.diskSizeMb,
    );
    if (memory < 0 || disk < 0) continue;
    const tightest = Math.min(memory, disk, left(host.cpuCores, 1, host.usedVcpus + need.vcpus));
    if (tightest > most) [best, most] = [host, tightest];
  }
  return best;
}

/** The share of a resource that stays free, below 0 when it does not suffice; an unknown size counts as plenty. */
const left = (size: number | null, overcommit: number, used: number): number =>
  size === null ? 1 : 1 - used / Math.max(1, size * overcommit);
