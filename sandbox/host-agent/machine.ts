import { closeSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { arch, availableParallelism, totalmem } from "node:os";
import { dirname } from "node:path";
import { getCACertificates } from "node:tls";
import { foldersOfImages, unmountBelow } from "./isolation/mounts.ts";
import { StateFolder } from "./state.ts";

const ARCHITECTURES: Record<string, string> = { x64: "x86_64", arm64: "aarch64" };
const CLOSE_ON_EXEC = 0o2000000;

/** Size of this machine, as the control plane stores it. */
export function machineFacts(folder: string) {
  const disk = statfsSync(folder);
  return {
    arch: ARCHITECTURES[arch()] ?? arch(),
    cpu_cores: availableParallelism(),
    memory_mb: Math.floor(totalmem() / 2 ** 20),
    disk_gb: Math.floor((disk.blocks * disk.bsize) / 2 ** 30),
  };
}

/** Closes descriptors that were inherited from whoever started the agent: every sandbox would inherit them too. */
export function closeInheritedDescriptors(): void {
  if (process.platform !== "linux") return;
  awaitCertificates();
  for (const name of readdirSync("/proc/self/fd")) {
    const descriptor = Number(name);
    if (descriptor > 2 && isInheritable(descriptor)) closeSync(descriptor);
  }
}

/** Node reads its extra certificates in a thread of its own, from a file that a sandbox would inherit. */
function awaitCertificates(): void {
  // Asking for them waits until they are there.
  if (process.env.NODE_EXTRA_CA_CERTS) getCACertificates("extra");
}

function isInheritable(descriptor: number): boolean {
  try {
    const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    return false;
  }
}

/** Abstract socket whose existence says that an agent uses this state folder. The kernel removes it with the agent. */
export const lockName = (state: StateFolder): string => `\0longshore-host-agent-${state.instance}`;

/** Takes the state folder for this process, or fails when another agent has it. */
export function lockState(state: StateFolder): Promise<Server | undefined> {
  if (process.platform !== "linux") return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => reject(new Error(`another host agent uses ${state.root}`)));
    server.listen(lockName(state), () => resolve(server.unref()));
  });
}

/** Unmounts the disks of agents that ended without doing it themselves and have no successor. */
export async function unmountAbandoned(): Promise<void> {
  for (const folder of foldersOfImages()) {
    const state = new StateFolder(dirname(folder));
    if (folder === state.images && !(await isLocked(state))) unmountBelow(state.workspaces);
  }
}

function isLocked(state: StateFolder): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lockName(state));
    const end = (isHeld: boolean) => {
      socket.destroy();
      resolve(isHeld);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });
}

/** Deletes the files of agents whose state folders were deleted, unless such an agent still runs. */
export async function removeAbandonedState(): Promise<void> {
  for (const state of StateFolder.abandoned()) {
    const lock = await lockState(state).catch(() => undefined);
    if (!lock) continue;
    unmountBelow(state.root);
    await rm(state.root, { recursive: true, force: true });
    lock.close();
  }
}
