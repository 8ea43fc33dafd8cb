import { type AddressInfo, createServer } from "node:net";
import { z } from "zod";
import { ExecResult } from "#protocol/supervisor";
import { boot, type RunningSandbox } from "../sandbox.ts";
import type { Backend } from "./backend.ts";
import { RUNTIME_FOLDER } from "./bubblewrap.ts";
import { probeScript, SYSCALL_PROBES } from "./probes.ts";

const ID = "self-test";
const LIMITS = { vcpus: 1, memoryMb: 512, diskMb: 64, pids: 64 };
const PROBE_TIMEOUT_MS = 20_000;

type Options = {
  backend: Backend;
  workspace: string;
  slot: number;
  /** Where Node is for commands of this backend. */
  node?: string;
  targets: { lock: string; hostPaths: string[] };
};

/**
 * Tries to get out of a real sandbox and answers with every way that worked, in words; none is the only good answer.
 * It fails when no sandbox could be started at all.
 */
export async function findEscapes(options: Options): Promise<string[]> {
  const { backend, workspace, slot } = options;
  const listener = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const sandbox = await boot(backend, {
    id: ID,
    slot,
    workspace,
    limits: LIMITS,
    network: { allow: ["*"] },
    generation: 0,
  });
  try {
    return await probe(sandbox, (listener.address() as AddressInfo).port, options);
  } finally {
    listener.close();
    await sandbox.stop();
    await backend.erase(ID, workspace);
  }
}

async function probe(sandbox: RunningSandbox, port: number, { node, targets }: Options): Promise<string[]> {
  const put = (name: string, bytes: string | Uint8Array) =>
    sandbox.connection.call("PUT", `/v1/files/content?path=${name}&overwrite=true`, bytes);
  await Promise.all(Object.entries(SYSCALL_PROBES).map(([name, { program }]) => put(name, program)));
  const script = probeScript({
    port,
    abstractSocket: targets.lock.replace(/^\0/, ""),
    hostPaths: targets.hostPaths,
  });
  await put("probe.cjs", script);
  const command = `chmod +x ${Object.keys(SYSCALL_PROBES).join(" ")} && exec ${node ?? `${RUNTIME_FOLDER}/node`} probe.cjs`;
  const request = { execId: "self-test", command, timeoutMs: PROBE_TIMEOUT_MS };
  const { status, body } = await sandbox.connection.call("POST", "/v1/exec", JSON.stringify(request));
  if (status !== 200) throw new Error(`the self-test could not run: ${body.toString("utf8")}`);
  const result = ExecResult.parse(JSON.parse(body.toString("utf8")));
  if (result.exitCode !== 0) throw new Error(`the self-test could not run: ${result.stderr.slice(0, 1000)}`);
  return z.array(z.string()).parse(JSON.parse(result.stdout));
}
