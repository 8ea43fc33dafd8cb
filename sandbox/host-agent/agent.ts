import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createLog, type Log } from "#kernel/log";
import type { AgentHealth } from "#protocol/host-agent";
import { type Config, VERSION } from "./config.ts";
import { ControlPlane, Dismissed } from "./control.ts";
import type { Backend } from "./isolation/backend.ts";
import { USERS_PER_AGENT } from "./isolation/bubblewrap-backend.ts";
import { chooseBackend, NoIsolation } from "./isolation/choose.ts";
import { findEscapes } from "./isolation/self-test.ts";
import { lockName, lockState, machineFacts, removeAbandonedState, unmountAbandoned } from "./machine.ts";
import { installRuntime } from "./runtime.ts";
import { type EndedSandbox, Sandboxes } from "./sandboxes.ts";
import { createAgentServer } from "./server.ts";
import { Snapshots } from "./snapshots/snapshots.ts";
import { StateFolder } from "./state.ts";
import { TokenReader } from "./tokens.ts";

const SELF_TEST_SLOT = USERS_PER_AGENT - 1;
const PORT_FILE = "port";

export type RunningAgent = {
  ready: { hostId: string; address: string; isolation: Backend["kind"]; unenforced: string[] };
  /** Resolves with a message when the control plane dismissed this host. */
  dismissed: Promise<string>;
  stop(): Promise<void>;
};

/** Starts the agent: isolation proven, listening, and registered. `signal` gives up waiting for the control plane. */
export async function startAgent(config: Config, signal: AbortSignal): Promise<RunningAgent> {
  const log = createLog(config.logLevel, { program: "host-agent" });
  const { state, moved } = StateFolder.open(config.state);
  if (moved)
    log.warn("sandboxes' users may not pass the folders above the state folder, using another", { state: state.root });
  const lock = await lockState(state);
  await unmountAbandoned();
  await removeAbandonedState();
  const backend = await chooseBackend(state, config, log);
  if (backend.kind === "none") log.warn("NO ISOLATION: commands run as this user, with its files and its network");
  await installRuntime(state.runtime, config.supervisor);
  await backend.reap();
  if (backend.kind === "bubblewrap") await proveIsolation(backend, state);

  const snapshots = new Snapshots({
    ...{ url: config.control, spool: state.spool, cache: state.chunks, cacheBytes: config.cacheBytes, log },
  });
  const control = new ControlPlane({ url: config.control, state, log });
  const onEnd = ({ id, generation, why }: EndedSandbox) =>
    void control.tell({ event: "sandbox.error", id, generation, error: why });
  const slots = SELF_TEST_SLOT;
  const sandboxes = new Sandboxes({ backend, state, log, slots, snapshots, warm: config.warm, onEnd });
  const health = (): AgentHealth => ({
    ok: true,
    hostId: control.identity?.hostId ?? null,
    version: VERSION,
    isolation: backend.kind,
    freezes: backend.freezes,
    unenforced: backend.unenforced,
    sandboxes: sandboxes.count,
    warm: sandboxes.warm,
  });
  const server = createAgentServer({ sandboxes, tokens: new TokenReader(() => control.identity), health, log });
  const port = await listen(server, config, state);
  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await sandboxes.close();
    await backend.close();
    lock?.close();
  };
  try {
    const address = config.address ?? `${config.listen.includes(":") ? `[${config.listen}]` : config.listen}:${port}`;
    const { kind: isolation, freezes, unenforced } = backend;
    const capabilities = { isolation, freezes, unenforced, version: VERSION };
    const facts = { address, ...machineFacts(state.root), capabilities };
    const left = sandboxes.kept;
    const hostId = await control.join(config.token, facts, signal);
    void tellOfEarlierLife(control, left, signal);
    await sandboxes.warmUp();
    const dismissed = heartbeats(control, config.heartbeatMs, log, signal);
    return { ready: { hostId, address, isolation, unenforced }, dismissed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Sandboxes end with their agent: has the control plane look after those that it believes to run. */
async function tellOfEarlierLife(control: ControlPlane, left: Sandboxes["kept"], signal: AbortSignal): Promise<void> {
  for (const { id, generation } of left) {
    if (signal.aborted) return;
    await control.tell({ event: "sandbox.lost", id, generation });
  }
}

/** Refuses to go on when anything was able to leave a sandbox. */
async function proveIsolation(backend: Backend, state: StateFolder): Promise<void> {
  let escapes: string[];
  try {
    escapes = await findEscapes({
      backend,
      workspace: state.workspace(".self-test"),
      slot: SELF_TEST_SLOT,
      targets: { lock: lockName(state), hostPaths: [state.root, "/root", "/home", "/var", "/sys"] },
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new NoIsolation(`No isolated sandbox can be started on this machine: ${why}`);
  }
  if (escapes.length > 0)
    throw new NoIsolation(`Sandboxes on this machine would not be isolated: ${escapes.join("; ")}`);
}

/** Listens on the wanted port, else on the one of the agent's earlier life, so that its address stays. */
async function listen(server: Server, config: Config, state: StateFolder): Promise<number> {
  const earlier = state.read(PORT_FILE);
  const candidates = config.port === undefined ? [typeof earlier === "number" ? earlier : 0, 0] : [config.port];
  for (const [index, port] of candidates.entries()) {
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(port, config.listen, () => {
          server.off("error", reject);
          resolve();
        });
      });
      break;
    } catch (error) {
      server.removeAllListeners("error");
      if (index === candidates.length - 1) throw error;
    }
  }
  const { port } = server.address() as AddressInfo;
  if (port !== earlier) state.write(PORT_FILE, port);
  return port;
}

/** Gives signs of life until the control plane dismisses this host. */
async function heartbeats(control: ControlPlane, everyMs: number, log: Log, signal: AbortSignal): Promise<string> {
  for (;;) {
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return new Promise(() => {});
    try {
      await control.beat();
    } catch (error) {
      if (error instanceof Dismissed) return error.message;
      log.warn("a heartbeat did not arrive", { error });
    }
  }
}
