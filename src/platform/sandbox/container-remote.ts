import type { ContainerAdapter, ContainerLaunch } from "#platform/sandbox/container-adapter";

/** A container held by another Worker's object. The names differ from those of the class that the object extends. */
export interface SdkContainerRpc {
  launchAgent(launch: ContainerLaunch): Promise<string>;
  isAgentAlive(): Promise<boolean>;
  fetchAgent(request: Request): Promise<Response>;
  saveFiles(): Promise<unknown>;
  discardFiles(handle: unknown): Promise<void>;
  endContainer(): Promise<void>;
  stayAwake(): Promise<void>;
}

/** Holds a container through the object that `find` finds. */
export class RemoteContainer implements ContainerAdapter {
  readonly #find: () => SdkContainerRpc;

  constructor(find: () => SdkContainerRpc) {
    this.#find = find;
  }

  launch(launch: ContainerLaunch): Promise<string> {
    return this.#find().launchAgent(launch);
  }

  isAlive(): Promise<boolean> {
    return this.#find().isAgentAlive();
  }

  fetch(request: Request): Promise<Response> {
    return this.#find().fetchAgent(request);
  }

  save(): Promise<unknown> {
    return this.#find().saveFiles();
  }

  discard(handle: unknown): Promise<void> {
    return this.#find().discardFiles(handle);
  }

  destroy(): Promise<void> {
    return this.#find().endContainer();
  }

  keepAlive(): Promise<void> {
    return this.#find().stayAwake();
  }
}
