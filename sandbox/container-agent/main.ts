import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { JSONWebKeySet } from "jose";
import { createLog } from "#kernel/log";
import { CONTAINER_AGENT_PORT, CONTAINER_HOST } from "#protocol/container";
import { VERSION } from "../host-agent/config.ts";
import { closeInheritedDescriptors } from "../host-agent/machine.ts";
import { Sandboxes } from "../host-agent/sandboxes.ts";
import { createAgentServer } from "../host-agent/server.ts";
import { Snapshots } from "../host-agent/snapshots/snapshots.ts";
import { StateFolder } from "../host-agent/state.ts";
import { TokenReader } from "../host-agent/tokens.ts";
import { ContainerBackend } from "./backend.ts";

const HELP = `Usage: container-agent [options]

Runs the one sandbox of a container. It must be started as root, and CONTROL_KEYS must hold the control plane's public
keys as a JSON Web Key Set.

  --user ID         number of the user that the sandbox's processes get; whatever else it runs is killed (default: 1000)
  --workspace DIR   the sandbox's files (default: /workspace)
  --state DIR       what the agent keeps for itself (default: /var/lib/longshore/container)
  --listen IP       address to listen on (default: all)
  --port PORT       (default: ${CONTAINER_AGENT_PORT})
`;

/** A container reaches nothing but what its object passes on. */
const NO_CONTROL_PLANE = "http://control.invalid";

/** Starts the agent of a container and answers once it listens. */
async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { user: text, workspace: text, state: text, listen: text, port: text, help: { type: "boolean" } },
  });
  if (values.help) return void process.stdout.write(HELP);
  const user = Number(values.user ?? 1000);
  if (process.getuid?.() !== 0 || !Number.isInteger(user) || user <= 0) {
    throw new Error("it must run as root, and --user must name another user");
  }
  const keys = readKeys(process.env.CONTROL_KEYS);
  closeInheritedDescriptors();
  const log = createLog("warn", { program: "container-agent" });
  const supervisor = join(import.meta.dirname, "supervisor.mjs");
  if (!existsSync(supervisor)) throw new Error(`there is no supervisor beside ${import.meta.filename}`);
  const backend = new ContainerBackend({ supervisor, workspace: values.workspace ?? "/workspace", user });
  await backend.reap();
  const { state } = StateFolder.open(values.state ?? "/var/lib/longshore/container");
  const snapshots = new Snapshots({
    ...{ url: process.env.CONTROL_URL ?? NO_CONTROL_PLANE, log },
    ...{ spool: state.spool, cache: state.chunks, cacheBytes: 0 },
  });
  const sandboxes = new Sandboxes({ backend, state, log, slots: 1, snapshots });
  const { unenforced, freezes, kind: isolation } = backend;
  const server = createAgentServer({
    sandboxes,
    tokens: new TokenReader(() => ({ hostId: CONTAINER_HOST, keys })),
    health: () => ({
      ...{ ok: true, hostId: CONTAINER_HOST, version: VERSION, isolation, freezes, unenforced },
      sandboxes: sandboxes.count,
      warm: sandboxes.warm,
    }),
    log,
  });
  const port = Number(values.port ?? CONTAINER_AGENT_PORT);
  server.listen(port, values.listen ?? "0.0.0.0", () => console.log(JSON.stringify({ ready: true, port })));
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      server.close();
      server.closeAllConnections();
      void sandboxes.close().finally(() => process.exit(0));
    });
  }
}

function readKeys(text: string | undefined): JSONWebKeySet {
  try {
    const keys = JSON.parse(text ?? "") as JSONWebKeySet;
    if (Array.isArray(keys.keys)) return keys;
  } catch {}
  throw new Error("CONTROL_KEYS must be a JSON Web Key Set");
}

await main().catch((error: Error) => {
  console.error(`container-agent: ${error.message}`);
  process.exit(1);
});
