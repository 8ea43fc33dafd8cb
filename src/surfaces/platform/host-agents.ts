import { z } from "zod";
import { heartbeat } from "#domain/host/heartbeat";
import { refreshHostToken } from "#domain/host/refresh-host-token";
import { type HostSession, registerHost } from "#domain/host/register-host";
import { reportSandbox } from "#domain/sandbox/report-sandbox";
import { Empty, operation } from "#http/operation";
import { MINUTE, SECOND } from "#kernel/time";
import { HostResource, toHostResource } from "#surfaces/platform/host-shapes";

/** The contract's answer, and beyond it the public keys by which the host checks calls of the control plane. */
const HostSessionResource = z
  .object({
    host: HostResource,
    token: z.string(),
    refresh_token: z.string(),
    control_keys: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
  })
  .meta({ id: "HostSession" });

const Size = z.int().min(1).max(1_000_000_000).optional();
const RegisterHostBody = z
  .object({
    token: z.string().min(1).max(500),
    address: z.string().min(1).max(300),
    arch: z.string().max(50).optional(),
    cpu_cores: Size,
    memory_mb: Size,
    disk_gb: Size,
    capabilities: z.record(z.string().max(100), z.unknown()).optional(),
  })
  .meta({ id: "RegisterHostRequest" });

const RefreshHostTokenBody = z
  .object({ refresh_token: z.string().min(1).max(500) })
  .meta({ id: "RefreshHostTokenRequest" });

/** The contract's fields, and the lease beyond them, by which a late event of an earlier one is known. */
const SandboxEventBody = z
  .object({
    event: z.string().min(1).max(100),
    sandbox_id: z.string().min(1).max(100),
    host_id: z.string().min(1).max(100),
    timestamp: z.int().min(0).max(100_000_000_000).optional(),
    error: z.string().max(10_000).optional(),
    generation: z.int().min(0).optional(),
  })
  .meta({ id: "SandboxEventCallback" });

const toHostSession = ({ host, token, refreshToken, controlKeys }: HostSession) => ({
  host: toHostResource(host),
  token,
  refresh_token: refreshToken,
  control_keys: { keys: controlKeys },
});

/** For secrets that cannot be guessed: so wide that a room full of agents behind one address stays below it. */
const AGENT_LIMIT = { name: "host_tokens", perAddress: { quota: 120, windowMs: MINUTE } };

/** What host agents ask. */
export const hostAgentOperations = [
  operation({
    id: "registerHost",
    method: "post",
    path: "/v1/hosts/register",
    tag: "hosts",
    summary: "Register a host agent with its one-time token",
    permission: null,
    limit: AGENT_LIMIT,
    body: RegisterHostBody,
    returns: { status: 201, schema: HostSessionResource },
    faults: ["unauthenticated"],
    run: async (ctx, { body }) => {
      const { cpu_cores: cpuCores, memory_mb: memoryMb, disk_gb: diskGb, ...rest } = body;
      return toHostSession(await registerHost(ctx, { ...rest, cpuCores, memoryMb, diskGb }));
    },
  }),
  operation({
    id: "refreshHostToken",
    method: "post",
    path: "/v1/hosts/auth/refresh",
    tag: "hosts",
    summary: "Exchange a host's refresh token for a new pair",
    permission: null,
    limit: AGENT_LIMIT,
    body: RefreshHostTokenBody,
    returns: { status: 200, schema: HostSessionResource },
    faults: ["unauthenticated"],
    run: async (ctx, { body }) => toHostSession(await refreshHostToken(ctx, body.refresh_token)),
  }),
  operation({
    id: "hostHeartbeat",
    method: "post",
    path: "/v1/hosts/{id}/heartbeat",
    tag: "hosts",
    summary: "Give a sign of life",
    description: "The header `X-Host-Address` tells an address that changed since the host registered.",
    permission: "host:report",
    accepts: ["host"],
    params: z.object({ id: z.string() }),
    returns: { status: 204, schema: Empty },
    faults: ["host_not_found"],
    run: async (ctx, { params, raw }) => {
      await heartbeat(ctx, params.id, raw.header("x-host-address"));
      return undefined;
    },
  }),
  operation({
    id: "sandboxEventCallback",
    method: "post",
    path: "/v1/hosts/sandbox-events",
    tag: "hosts",
    summary: "Tell what became of a capsule by itself",
    description: "Safe to repeat. Events that are not known are taken and change nothing.",
    permission: "host:report",
    accepts: ["host"],
    body: SandboxEventBody,
    returns: { status: 204, schema: Empty },
    faults: ["forbidden"],
    run: async (ctx, { body }) => {
      const { sandbox_id: sandboxId, host_id: hostId, timestamp, error, ...rest } = body;
      const at = timestamp === undefined ? undefined : timestamp * SECOND;
      await reportSandbox(ctx, { ...rest, sandboxId, hostId, at, error: error?.slice(0, 1_000) });
      return undefined;
    },
  }),
];
