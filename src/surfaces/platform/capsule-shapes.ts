import { z } from "zod";
import type { SandboxWish } from "#domain/sandbox/create-sandbox";
import type { MACHINE_LABELS } from "#domain/sandbox/labels";
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

/** What runs a capsule, in the names that are kept from users' own labels. */
const machineLabels = (machine: Sandbox["machine"]): Partial<Record<(typeof MACHINE_LABELS)[number], string>> => {
  if (!machine) return {};
  const { kernel = "", vmm = "", agent = "", supervisor = "", pauseMode = "", network = "" } = machine;
  return {
    kernel_version: kernel,
    vmm_version: vmm,
    agent_version: agent,
    envd_version: supervisor,
    pause_mode: pauseMode,
    network_policy: network,
  };
};

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
  metadata: { ...sandbox.metadata, ...machineLabels(sandbox.machine) },
  disk_size_mb: sandbox.diskSizeMb,
});

const Size = z.int().max(1_000_000_000);

/** Sizes of 0 and less mean the default (R143), which the verb knows; so does whoever reads the document. */
export const CreateCapsuleBody = z
  .object({
    template: z.string().max(200).default("minimal"),
    vcpus: Size.default(1),
    memory_mb: Size.default(512),
    disk_size_mb: Size.default(5120),
    timeout_sec: z.int().min(0).max(1_000_000_000).default(0),
    /** Labels; beyond the contract's own schema, which only shows them (A15). */
    metadata: z.record(z.string(), z.string()).optional(),
  })
  .meta({ id: "CreateCapsuleRequest" });

/** What is asked for, in the domain's words. */
export const fromCapsuleBody = (body: z.output<typeof CreateCapsuleBody>): SandboxWish => ({
  template: body.template,
  vcpus: body.vcpus,
  memoryMb: body.memory_mb,
  diskSizeMb: body.disk_size_mb,
  timeoutSec: body.timeout_sec,
  metadata: body.metadata,
});
