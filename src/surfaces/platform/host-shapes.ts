import { z } from "zod";
import type { Host } from "#domain/host/repo";
import { iso } from "#kernel/time";

export const HostResource = z
  .object({
    id: z.string(),
    type: z.enum(["regular", "byoc"]),
    team_id: z.string().nullable(),
    provider: z.string().nullable(),
    availability_zone: z.string().nullable(),
    arch: z.string().nullable(),
    cpu_cores: z.int().nullable(),
    memory_mb: z.int().nullable(),
    disk_gb: z.int().nullable(),
    address: z.string().nullable(),
    status: z.enum(["pending", "online", "offline", "draining", "unreachable"]),
    last_heartbeat_at: z.iso.datetime().nullable(),
    created_by: z.string(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: "Host" });

export const toHostResource = (host: Host): z.input<typeof HostResource> => ({
  id: host.id,
  type: host.type,
  team_id: host.teamId,
  provider: host.provider,
  availability_zone: host.availabilityZone,
  arch: host.arch,
  cpu_cores: host.cpuCores,
  memory_mb: host.memoryMb,
  disk_gb: host.diskGb,
  address: host.address,
  status: host.status,
  last_heartbeat_at: host.lastHeartbeatAt === null ? null : iso(host.lastHeartbeatAt),
  created_by: host.createdBy,
  created_at: iso(host.createdAt),
  updated_at: iso(host.updatedAt),
});
