import { z } from "zod";
import type { Sandbox } from "#domain/sandbox/repo";
import { SANDBOX_STATUSES } from "#domain/sandbox/status";
import { iso } from "#kernel/time";
import type { FeedSandbox } from "#protocol/team-feed";

export const Capsule = z
  .object({
    id: z.string(),
    status: z.enum(SANDBOX_STATUSES),
    template: z.string(),
    vcpus: z.int(),
    memory_mb: z.int(),
    timeout_sec: z.int(),
    guest_ip: z.string(),
    host_ip: z.string(),
    created_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    last_active_at: z.iso.datetime().nullable(),
    last_updated: z.iso.datetime(),
    metadata: z.record(z.string(), z.string()).nullable(),
    disk_size_mb: z.int().nullable(),
  })
  .meta({ id: "Capsule" });

const isoOrNull = (ms: number | null) => (ms === null ? null : iso(ms));

/** A sandbox in this contract's words. Sandboxes have no network of their own, so both addresses are empty (A58). */
export const toCapsule = (sandbox: Pick<Sandbox, keyof FeedSandbox>): z.input<typeof Capsule> => ({
  id: sandbox.id,
  status: sandbox.status,
  template: sandbox.template,
  vcpus: sandbox.vcpus,
  memory_mb: sandbox.memoryMb,
  timeout_sec: sandbox.timeoutSec,
  guest_ip: "",
  host_ip: "",
  created_at: iso(sandbox.createdAt),
  started_at: isoOrNull(sandbox.startedAt),
  last_active_at: isoOrNull(sandbox.lastActiveAt),
  last_updated: iso(sandbox.updatedAt),
  metadata: sandbox.metadata,
  disk_size_mb: sandbox.diskSizeMb,
});
