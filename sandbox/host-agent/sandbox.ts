import type { AgentSandbox, NetworkPolicy, SandboxLimits } from "#protocol/host-agent";
import { EXEC_LIMITS, type ExecLimit } from "#protocol/supervisor-values";
import { Connection } from "./connection.ts";
import type { Backend, Started } from "./isolation/backend.ts";
import { SandboxMetrics } from "./metrics/sandbox-metrics.ts";

const READY_MS = 15_000;

/** One running supervisor with the connection to it. */
export class RunningSandbox {
  readonly connection: Connection;
  readonly bootMs: number;
  readonly exited: Promise<string>;
  readonly metrics: SandboxMetrics;
  readonly limits: SandboxLimits;
  readonly #started: Started;
  #generation: number;
  #warm = false;
  #isFrozen = false;
  #still: Promise<unknown> | undefined;

  constructor(started: Started, connection: Connection, { generation, limits }: BootInput, bootMs: number) {
    this.#started = started;
    this.metrics = new SandboxMetrics(started, limits.vcpus);
    this.limits = limits;
    this.connection = connection;
    this.exited = started.exited;
    this.#generation = generation;
    this.bootMs = bootMs;
  }

  get generation(): number {
    return this.#generation;
  }

  /** True for one that was started before anybody asked for it. */
  get warm(): boolean {
    return this.#warm;
  }

  /** Gives a spare sandbox its first lease. */
  assign(generation: number): this {
    this.#generation = generation;
    this.#warm = true;
    return this;
  }

  /** Tells whose it is: a spare one, or one whose files bear another name, was started without knowing. */
  belongTo(sandboxId: string): void {
    this.#started.belongTo(sandboxId);
  }

  /** Begins to watch the sandbox's limits; the function tells which one it has run into since. */
  watchLimits(): () => ExecLimit | undefined {
    const before = this.#started.refused();
    return () => {
      const now = this.#started.refused();
      return EXEC_LIMITS.find((limit) => now[limit] > before[limit]);
    };
  }

  /** What is not enforced for this sandbox alone, in words for people. */
  get notes(): string[] {
    return this.#started.notes;
  }

  /** What it may reach outside. */
  get network(): AgentSandbox["network"] {
    return this.#started.network;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Answers when all of the sandbox stands still. One that is frozen already is fine. */
  async freeze(): Promise<void> {
    if (this.#isFrozen) return;
    // Nothing new may be asked of it while it is being stopped.
    this.#isFrozen = true;
    await this.#started.freeze().catch((error) => {
      this.#isFrozen = false;
      throw error;
    });
  }

  /** Lets it go on where it stopped. One that runs is fine. */
  thaw(): void {
    if (!this.#isFrozen) return;
    this.#started.thaw();
    this.metrics.interrupt();
    this.#isFrozen = false;
  }

  /** Does something while all of the sandbox stands still, and lets it go on whatever came of that. */
  async standStill<T>(work: () => Promise<T>): Promise<{ value: T; frozenMs: number }> {
    const begun = performance.now();
    const done = (async () => {
      await this.#started.freeze();
      try {
        return await work();
      } finally {
        this.#started.thaw();
        this.metrics.interrupt();
      }
    })();
    // Those who wait for it to go on need not know how it went.
    this.#still = done.then(
      () => undefined,
      () => undefined,
    );
    return { value: await done, frozenMs: Math.round(performance.now() - begun) };
  }

  /** Answers once it does not stand still for a moment. */
  async moving(): Promise<void> {
    await this.#still;
  }

  /** Answers when nothing of the sandbox runs any more. */
  async stop(): Promise<void> {
    this.connection.close();
    await this.#started.stop();
  }
}

export type BootInput = {
  id: string;
  slot: number;
  workspace: string;
  limits: SandboxLimits;
  network: NetworkPolicy;
  generation: number;
};

/** Starts a supervisor and answers once it serves. One that ends or stays silent is stopped and an error. */
export async function boot(backend: Backend, input: BootInput): Promise<RunningSandbox> {
  const startedAt = performance.now();
  const started = await backend.start(input);
  const connection = new Connection(started.socket);
  let timer: NodeJS.Timeout | undefined;
  try {
    const { status } = await Promise.race([
      connection.call("GET", "/v1/health"),
      started.exited.then((why) => Promise.reject(new Error(`the supervisor ended: ${why}`))),
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("the supervisor did not answer")), READY_MS);
      }),
    ]);
    if (status !== 200) throw new Error(await Promise.race([started.exited, `the supervisor answered ${status}`]));
    return new RunningSandbox(started, connection, input, Math.round(performance.now() - startedAt));
  } catch (error) {
    connection.close();
    await started.stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
