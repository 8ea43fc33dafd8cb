import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createLog } from "#kernel/log";
import { ContainerHost, type ContainerRow } from "#objects/container/container-host";
import type { ContainerAdapter } from "#platform/sandbox/container-adapter";
import { type NativeApi, NativeContainer } from "#platform/sandbox/container-native";
import { RemoteContainer, type SdkContainerRpc } from "#platform/sandbox/container-remote";
import type { SdkSandbox } from "#platform/sandbox/container-sdk";
import { signControlToken } from "#platform/sandbox/control-token";
import { signerOf } from "#platform/signing";
import { CONTAINER_AGENT_PORT, CONTAINER_HOST, CONTAINER_IMAGE } from "#protocol/container";
import type { AgentAct } from "#protocol/host-agent";
import { newSigningKey } from "#scripts/lib/secrets";
import { LocalContainer } from "#test/node/local-container";
import type { Machine } from "#test/node/machine";

type Made = { adapter: ContainerAdapter; container: LocalContainer };

/** `ctx.container` with a real agent behind it; a snapshot is a copy of all the container's files. */
export async function nativeContainer(): Promise<Made> {
  const container = await LocalContainer.create();
  const api: NativeApi = {
    images: { [CONTAINER_IMAGE]: "image" },
    get running() {
      return container.running;
    },
    start(options) {
      if (container.running) throw new Error("start() cannot be called on a container that is already running.");
      if ("containerSnapshot" in options) container.put(options.containerSnapshot.id, ".");
      container.start(options.env);
    },
    monitor: () => container.ended,
    destroy: () => container.kill(),
    getTcpPort: (port: number) => ({
      fetch: (request: Request) => {
        if (port !== CONTAINER_AGENT_PORT || !container.running) throw new Error("Connecting to container port failed");
        return container.fetch(request);
      },
    }),
    setInactivityTimeout: async () => {},
    snapshotContainer: async () => {
      if (!container.running) throw new Error("snapshotContainer() requires a running container");
      return { id: container.copy("."), size: 0 };
    },
  };
  return { adapter: new NativeContainer(api, () => {}), container };
}

/** The bucket of backups: what the real one would hold of each is a copy on disk. */
class FakeBucket {
  readonly copies = new Map<string, string>();

  async list({ prefix }: { prefix: string }) {
    const keys = [...this.copies.keys()].map((id) => `backups/${id}/data.sqsh`);
    return { objects: keys.filter((key) => key.startsWith(prefix)).map((key) => ({ key })) };
  }

  async delete(keys: string[]) {
    for (const key of keys) this.copies.delete(key.split("/")[1] ?? "");
  }
}

type FakeEnv = { BACKUP_BUCKET: FakeBucket; BACKUP_LOCAL: string };

/** Stands in for the class `Sandbox` of the SDK, with a real agent behind it; a backup is a copy of one folder. */
export class FakeSandbox implements SdkSandbox {
  readonly ctx: { local: LocalContainer };
  readonly env: FakeEnv;
  enableInternet = true;

  constructor(ctx: { local: LocalContainer }, env: FakeEnv) {
    this.ctx = ctx;
    this.env = env;
  }

  async getState() {
    return { status: this.ctx.local.running ? "healthy" : "stopped" };
  }

  async containerFetch(request: Request, port: number) {
    if (port !== CONTAINER_AGENT_PORT) throw new Error(`nothing listens on port ${port}`);
    return this.ctx.local.fetch(request);
  }

  async startProcess(command: string, options: { processId: string; env: Record<string, string>; cwd: string }) {
    if (!command.endsWith("/opt/longshore/container-agent.mjs")) throw new Error(`cannot run ${command}`);
    this.ctx.local.start(options.env);
    return { id: options.processId };
  }

  async createBackup({ dir, ttl }: { dir: string; ttl: number; localBucket?: boolean }) {
    if (!/^\/(workspace|home|tmp|var\/tmp|app)(\/|$)/.test(dir) || ttl <= 0)
      throw new Error("InvalidBackupConfigError");
    const id = crypto.randomUUID();
    this.env.BACKUP_BUCKET.copies.set(id, this.ctx.local.copy("workspace"));
    return { id, dir, localBucket: true };
  }

  async restoreBackup({ id, dir }: { id: string; dir: string }) {
    const copy = this.env.BACKUP_BUCKET.copies.get(id);
    if (copy === undefined) throw new Error("BackupNotFoundError");
    this.ctx.local.put(copy, "workspace");
    return { success: true, dir, id };
  }

  renewActivityTimeout() {}

  destroy() {
    return this.ctx.local.kill();
  }
}

/** Makes containers that objects of the SDK's class hold; `Held` extends `FakeSandbox` in place of the real one. */
export function sdkContainers(Held: new (ctx: FakeSandbox["ctx"], env: FakeEnv) => SdkContainerRpc) {
  const env = { BACKUP_BUCKET: new FakeBucket(), BACKUP_LOCAL: "true" };
  return async (): Promise<Made> => {
    const container = await LocalContainer.create();
    const held = new Held({ local: container }, env);
    return { adapter: new RemoteContainer(() => held), container };
  };
}

/** Containers that `make` makes, each behind a host of its own as its object has one, reached over HTTP. */
export async function containerMachine(make: () => Promise<Made>): Promise<Machine> {
  const env = { SIGNING_KEY: await newSigningKey() };
  const controlKeys = async () => JSON.stringify({ keys: [(await signerOf(env)).publicJwk] });
  const made = new Map<string, Promise<Made & { host: ContainerHost }>>();
  const containerOf = (sandboxId: string) => {
    const one = made.get(sandboxId) ?? hostOne(sandboxId);
    made.set(sandboxId, one);
    return one;
  };
  const hostOne = async (sandboxId: string) => {
    let row: ContainerRow | undefined;
    const store = {
      get row() {
        return row;
      },
      save: (next: ContainerRow) => {
        row = structuredClone(next);
      },
    };
    const { adapter, container } = await make();
    const host = new ContainerHost({ sandboxId, env, store, adapter, controlKeys, log: createLog("error") });
    return { adapter, container, host };
  };
  const server = createServer((request, response) => {
    const id = /^\/v1\/sandboxes\/([^/?]+)/.exec(request.url ?? "")?.[1] ?? "";
    void containerOf(id).then(({ host }) => relay(host, request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ pauseKeeps: "files", lossKeeps: "saved" },
    call: (method, path, call) => callMachine(`http://127.0.0.1:${port}${path}`, method, env, call),
    lose: async (sandboxId) => (await containerOf(sandboxId)).container.kill(),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await Promise.all([...made.values()].map(async (one) => (await one).container.kill()));
    },
  };
}

/** A call with the token that the control plane would send. */
export async function callMachine(
  url: string,
  method: string,
  env: { SIGNING_KEY: string },
  { sandbox, gen, act, audience = CONTAINER_HOST, body }: Parameters<Machine["call"]>[2],
): Promise<Response> {
  const subject = { hostId: audience, sandboxId: sandbox, generation: gen };
  const { token } = await signControlToken(env, subject, act as AgentAct);
  return fetch(url, { method, headers: { authorization: `Bearer ${token}` }, body: body ?? null });
}

async function relay(host: ContainerHost, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const { method = "GET", url = "", headers } = incoming;
  const hasBody = method === "POST" || method === "PUT";
  const request = new Request(`http://machine${url}`, {
    method,
    headers: { authorization: headers.authorization ?? "" },
    signal: gone.signal,
    ...(hasBody && { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: "half" as const }),
  });
  try {
    const response = await host.answer(request);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    if (response.body) await pipeline(Readable.fromWeb(response.body as never), outgoing);
    else outgoing.end();
  } catch {
    outgoing.destroy();
  }
}
