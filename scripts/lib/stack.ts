import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Agent, startAgent } from "#scripts/lib/agent";
import { api } from "#scripts/lib/api";
import { freePort } from "#scripts/lib/free-port";
import { type Product, startProduct } from "#scripts/lib/product";
import { localSecrets } from "#scripts/lib/secrets";
import { userSettings } from "#scripts/lib/settings";

/** What a local deployment remembers of its first start. */
type Local = {
  apiKey: string;
  teamId: string;
  hostId?: string /** Where it answered when it was last started. */;
  url?: string;
};

export type StackOptions = {
  dataDir: string;
  host?: string;
  port?: number;
  insecure?: boolean;
  vars?: Record<string, string>;
  /** False starts the Worker alone. */
  withAgent?: boolean;
  onLog?: (line: string, level: string) => void;
};

export type Stack = {
  url: string;
  apiKey: string;
  teamId: string;
  product: Product;
  agent: Agent | undefined;
  stop(): Promise<void>;
};

export const DEFAULT_PORT = 8787;
export const DEFAULT_AGENT_PORT = 8788;
export const OWNER_EMAIL = "owner@longshore.local";

/** Starts everything one machine needs: the product, its first owner, and a registered host agent. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDir, host = "127.0.0.1" } = options;
  const secrets = await localSecrets(dataDir);
  const product = await startProduct({
    dataDir,
    host,
    port: options.port ?? (await freePort(DEFAULT_PORT, host)),
    vars: { ...userSettings(), ...secrets, ...options.vars },
    ...(options.onLog && { onLog: options.onLog }),
  });
  try {
    const local = await setUp(product.url, dataDir, secrets.SETUP_TOKEN);
    const agent =
      options.withAgent === false ? undefined : await startHost(product.url, options, local, secrets.SETUP_TOKEN);
    return {
      url: product.url,
      apiKey: local.apiKey,
      teamId: local.teamId,
      product,
      agent,
      stop: async () => {
        await agent?.stop();
        await product.stop();
      },
    };
  } catch (error) {
    await product.stop();
    throw error;
  }
}

const localFile = (dataDir: string) => join(dataDir, "local.json");
const remember = (dataDir: string, local: Local) =>
  writeFileSync(localFile(dataDir), JSON.stringify(local), { mode: 0o600 });

/** The owner of a new deployment, or the one that is there already; a key that was revoked is replaced. */
export async function setUp(url: string, dataDir: string, setupToken: string): Promise<Local> {
  const known = readLocal(dataDir);
  const working = known && (await isAlive(url, known.apiKey)) ? known : await makeOwner(url, setupToken);
  const local: Local = { ...known, apiKey: working.apiKey, teamId: working.teamId, url };
  remember(dataDir, local);
  return local;
}

/** What the deployment that keeps its state in a folder remembers; undefined when none ever started there. */
export function readLocal(dataDir: string): Local | undefined {
  const file = localFile(dataDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Local) : undefined;
}

const makeOwner = (url: string, setupToken: string): Promise<Local> =>
  api(url, { "x-setup-token": setupToken })<Local>("POST", "/internal/v1/setup/owner", { email: OWNER_EMAIL });

async function isAlive(url: string, apiKey: string): Promise<boolean> {
  const { status } = await fetch(`${url}/api/v1/workspaces?pageSize=1`, { headers: { "x-api-key": apiKey } });
  return status !== 401;
}

/** Starts the host agent; the first time it is invited with a one-time token. */
export async function startHost(
  url: string,
  options: Pick<StackOptions, "dataDir" | "insecure" | "onLog"> & { watch?: boolean },
  local: Local,
  setupToken: string,
): Promise<Agent> {
  const { dataDir, insecure = false, onLog, watch = false } = options;
  const invitation = local.hostId
    ? undefined
    : await api(url, { "x-setup-token": setupToken })<{ registrationToken: string }>(
        "POST",
        "/internal/v1/setup/hosts",
        {
          type: "regular",
        },
      );
  const agent = await startAgent({
    control: url,
    stateDir: join(dataDir, "host"),
    port: await freePort(DEFAULT_AGENT_PORT),
    token: invitation?.registrationToken,
    insecure,
    watch,
    ...(onLog && { onLog: (line) => onLog(line, "info") }),
  });
  remember(dataDir, { ...local, hostId: agent.hostId });
  return agent;
}
