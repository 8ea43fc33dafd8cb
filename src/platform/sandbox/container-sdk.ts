import { DAY, SECOND } from "#kernel/time";
import type { ContainerAdapter, ContainerLaunch } from "#platform/sandbox/container-adapter";
import { CONTAINER_AGENT_PORT } from "#protocol/container";
import { WORKSPACE_ROOT } from "#protocol/supervisor-values";

type Backup = { readonly id: string; readonly dir: string; readonly localBucket?: boolean };

/** What is used of the class `Sandbox` of `@cloudflare/sandbox` 0.12, in its words. */
export interface SdkSandbox {
  getState(): Promise<{ status: string }>;
  containerFetch(request: Request, port: number): Promise<Response>;
  startProcess(
    command: string,
    options: { processId: string; env: Record<string, string>; cwd: string },
  ): Promise<unknown>;
  createBackup(options: { dir: string; ttl: number; localBucket?: boolean }): Promise<Backup>;
  restoreBackup(backup: Backup): Promise<{ success: boolean }>;
  renewActivityTimeout(): void;
  destroy(): Promise<void>;
}

type Bucket = {
  list(options: { prefix: string }): Promise<{ objects: { key: string }[] }>;
  delete(keys: string[]): Promise<void>;
};

/** `localBucket` keeps backups by the binding alone, as local servers must. */
type Options = { bucket: Bucket; localBucket: boolean };

/** Backups are deleted when newer ones take their place, not because of their age. */
const BACKUP_TTL_SECONDS = (3650 * DAY) / SECOND;
const AGENT = "/opt/longshore/node --max-semi-space-size=1 /opt/longshore/container-agent.mjs";
const ALIVE = new Set(["running", "healthy"]);

/**
 * A container held by the class of `@cloudflare/sandbox`, whose own server in the image starts the agent. What is saved is
 * a backup of the workspace in R2. The size of the instance is the deployment's, not the sandbox's.
 */
export class SdkContainer implements ContainerAdapter {
  readonly #sandbox: SdkSandbox;
  readonly #options: Options;

  constructor(sandbox: SdkSandbox, options: Options) {
    this.#sandbox = sandbox;
    this.#options = options;
  }

  async launch({ env, saved }: ContainerLaunch): Promise<string> {
    // The container starts with the first call that needs it.
    if (saved) {
      const { success } = await this.#sandbox.restoreBackup(saved.handle as Backup);
      if (!success) throw new Error("the backup was not restored");
    }
    await this.#sandbox.startProcess(AGENT, { processId: "longshore-agent", env, cwd: "/" });
    return "of the size that the deployment gives to all";
  }

  async isAlive(): Promise<boolean> {
    return ALIVE.has((await this.#sandbox.getState()).status);
  }

  async fetch(request: Request): Promise<Response> {
    // Such a request would start a container that is gone, without the agent.
    if (!(await this.isAlive())) throw new Error("the container does not run");
    return this.#sandbox.containerFetch(request, CONTAINER_AGENT_PORT);
  }

  async save(): Promise<unknown> {
    const options = { dir: WORKSPACE_ROOT, ttl: BACKUP_TTL_SECONDS };
    const { id, dir, localBucket } = await this.#sandbox.createBackup({
      ...options,
      ...(this.#options.localBucket && { localBucket: true }),
    });
    return { id, dir, ...(localBucket && { localBucket }) };
  }

  async discard(handle: unknown): Promise<void> {
    const { bucket } = this.#options;
    const { objects } = await bucket.list({ prefix: `backups/${(handle as Backup).id}/` });
    if (objects.length > 0) await bucket.delete(objects.map(({ key }) => key));
  }

  async destroy(): Promise<void> {
    if (await this.isAlive()) await this.#sandbox.destroy();
  }

  async keepAlive(): Promise<void> {
    this.#sandbox.renewActivityTimeout();
  }
}
