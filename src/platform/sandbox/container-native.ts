import { type ContainerSizeName, inWords } from "#domain/container/sizes";
import { HOUR } from "#kernel/time";
import type { ContainerAdapter, ContainerLaunch } from "#platform/sandbox/container-adapter";
import { CONTAINER_AGENT_PORT, CONTAINER_IMAGE } from "#protocol/container";

type Launch = {
  instance: ContainerSizeName;
  env: Record<string, string>;
  labels: Record<string, string>;
  enableInternet: boolean;
};

/** What is used of `ctx.container`. */
export interface NativeApi {
  readonly running: boolean;
  readonly images: Record<string, string>;
  start(options: Launch & ({ image: string } | { containerSnapshot: { id: string } })): void;
  monitor(): Promise<void>;
  destroy(): Promise<void>;
  getTcpPort(port: number): { fetch(request: Request): Promise<Response> };
  setInactivityTimeout(ms: number): Promise<void>;
  snapshotContainer(): Promise<{ id: string }>;
}

/** The longest that the platform lets a container live which its object does not use. */
const INACTIVITY_MS = 6 * HOUR;

/**
 * A container held by `ctx.container` under the scheduling policy `durable_object`. What is saved is a snapshot of all its
 * files; the platform has no call to delete one.
 */
export class NativeContainer implements ContainerAdapter {
  readonly #container: NativeApi;
  readonly #onEnd: () => void;
  #watched = false;

  /** `onEnd` is told when the container has ended, whoever ended it. */
  constructor(container: NativeApi, onEnd: () => void) {
    this.#container = container;
    this.#onEnd = onEnd;
    if (container.running) this.#watch();
  }

  async launch({ sandboxId, size, env, internet, saved }: ContainerLaunch): Promise<string> {
    const { images } = this.#container;
    const image = images[CONTAINER_IMAGE];
    const options = { instance: size, env, labels: { sandbox: sandboxId }, enableInternet: internet };
    if (saved) this.#container.start({ ...options, containerSnapshot: saved.handle as { id: string } });
    else if (image) this.#container.start({ ...options, image });
    else throw new Error(`the deployment has no container image named ${CONTAINER_IMAGE}`);
    this.#watch();
    await this.keepAlive();
    return inWords(size);
  }

  async isAlive(): Promise<boolean> {
    return this.#container.running;
  }

  fetch(request: Request): Promise<Response> {
    return this.#container.getTcpPort(CONTAINER_AGENT_PORT).fetch(request);
  }

  async save(): Promise<unknown> {
    const { id } = await this.#container.snapshotContainer();
    return { id };
  }

  async discard(): Promise<void> {
    // Snapshots cannot be deleted.
  }

  async destroy(): Promise<void> {
    if (this.#container.running) await this.#container.destroy();
  }

  keepAlive(): Promise<void> {
    return this.#container.setInactivityTimeout(INACTIVITY_MS);
  }

  #watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    const ended = () => {
      this.#watched = false;
      this.#onEnd();
    };
    this.#container.monitor().then(ended, ended);
  }
}
