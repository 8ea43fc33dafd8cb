import { Sandbox } from "@cloudflare/sandbox";
import type { ContainerLaunch } from "#platform/sandbox/container-adapter";
import type { SdkContainerRpc } from "#platform/sandbox/container-remote";
import { SdkContainer } from "#platform/sandbox/container-sdk";

type SdkEnv = { BACKUP_BUCKET: R2Bucket; BACKUP_LOCAL?: string };

/**
 * One container held by the SDK's class, by its sandbox's id. It runs in a Worker of its own, so that a deployment which
 * does without the SDK does not carry it.
 */
export class SdkContainerObject extends Sandbox<SdkEnv> implements SdkContainerRpc {
  /** Longer than the time between two looks of the container's object, so that only a forgotten one sleeps. */
  override sleepAfter = "30m";
  override enableInternet = false;
  readonly #adapter = new SdkContainer(this, {
    bucket: this.env.BACKUP_BUCKET,
    localBucket: this.env.BACKUP_LOCAL === "true",
  });

  launchAgent(launch: ContainerLaunch): Promise<string> {
    this.enableInternet = launch.internet;
    return this.#adapter.launch(launch);
  }

  isAgentAlive(): Promise<boolean> {
    return this.#adapter.isAlive();
  }

  fetchAgent(request: Request): Promise<Response> {
    return this.#adapter.fetch(request);
  }

  saveFiles(): Promise<unknown> {
    return this.#adapter.save();
  }

  discardFiles(handle: unknown): Promise<void> {
    return this.#adapter.discard(handle);
  }

  endContainer(): Promise<void> {
    return this.#adapter.destroy();
  }

  stayAwake(): Promise<void> {
    return this.#adapter.keepAlive();
  }
}
