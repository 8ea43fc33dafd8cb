import { DurableObject } from "cloudflare:workers";
import { createLog, type Log } from "#kernel/log";
import { HOUR, SECOND } from "#kernel/time";
import { AgentRefusal, refusalResponse } from "#objects/container/agent-refusal";
import { ContainerHost, type ContainerRow, SAVE_EVERY_MS } from "#objects/container/container-host";
import type { ContainerAdapter } from "#platform/sandbox/container-adapter";
import { NativeContainer } from "#platform/sandbox/container-native";
import { RemoteContainer, type SdkContainerRpc } from "#platform/sandbox/container-remote";
import { signerOf } from "#platform/signing";

const ROW = "row";
const SANDBOX_ID = "sandboxId";
/** Far longer than any token of a wiped sandbox lives. */
const FENCE_KEPT_MS = HOUR;
const RETRY_MS = 30 * SECOND;

/** The container of one sandbox, by that one's id; see `ContainerHost`. */
export class SandboxContainer extends DurableObject<Env> {
  readonly #log: Log = createLog(this.env.LOG_LEVEL);
  readonly #adapter = this.#chooseAdapter();
  readonly #host = this.#adapter && this.#makeHost(this.#adapter);
  #row = this.ctx.storage.kv.get<ContainerRow>(ROW);

  override async fetch(request: Request): Promise<Response> {
    if (!this.#host) {
      return refusalResponse(new AgentRefusal("start_failed", "this deployment has no containers"), this.#log);
    }
    return this.#host.answer(request);
  }

  /** The platform stops calling after some failures, so nothing escapes and the alarm is always set again (R9). */
  override async alarm(): Promise<void> {
    try {
      const { status } = this.#row?.state ?? {};
      if (!this.#host || status === undefined) return;
      if (status === "wiped") return await this.#forget();
      const found = await this.#host.tend();
      if (found === "lost") await this.#tellLoss();
      if (found === "running") await this.ctx.storage.setAlarm(Date.now() + SAVE_EVERY_MS);
    } catch (error) {
      this.#log.error("container alarm failed", { sandboxId: this.#sandboxId, error });
      await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    }
  }

  #makeHost(adapter: ContainerAdapter): ContainerHost {
    const read = () => this.#row;
    const save = (row: ContainerRow) => this.#save(row);
    return new ContainerHost({
      sandboxId: this.#sandboxId,
      env: this.env,
      store: {
        get row() {
          return read();
        },
        save,
      },
      adapter,
      controlKeys: async () => JSON.stringify({ keys: [(await signerOf(this.env)).publicJwk] }),
      log: this.#log,
    });
  }

  #save(row: ContainerRow): void {
    this.ctx.storage.kv.put(SANDBOX_ID, this.#sandboxId);
    this.ctx.storage.kv.put(ROW, row);
    this.#row = row;
    const { status } = row.state;
    if (status !== "running" && status !== "wiped") return;
    const dueIn = status === "wiped" ? FENCE_KEPT_MS : SAVE_EVERY_MS;
    this.ctx.waitUntil(this.ctx.storage.setAlarm(Date.now() + dueIn));
  }

  async #forget(): Promise<void> {
    await this.ctx.storage.deleteAll();
    this.#row = undefined;
  }

  /** A container that ended although nobody asked for it: the sandbox's object finds out what that means. */
  async #noteEnd(): Promise<void> {
    if (this.#row?.state.status === "running") await this.#tellLoss();
  }

  async #tellLoss(): Promise<void> {
    await this.env.SANDBOX.getByName(this.#sandboxId).nudge();
  }

  /** An alarm may not know the name its object was made by. */
  get #sandboxId(): string {
    return this.ctx.id.name ?? this.ctx.storage.kv.get<string>(SANDBOX_ID) ?? "";
  }

  #chooseAdapter(): ContainerAdapter | undefined {
    const { container } = this.ctx;
    const { SDK_CONTAINERS: remote } = this.env;
    if (remote) return new RemoteContainer(() => remote.getByName(this.#sandboxId) as unknown as SdkContainerRpc);
    if (!container) return undefined;
    return new NativeContainer(container, () => {
      this.ctx.waitUntil(
        this.#noteEnd().catch((error) => this.#log.warn("the end of a container was not told", { error })),
      );
    });
  }
}
