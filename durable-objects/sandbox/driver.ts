import { drizzle } from "drizzle-orm/d1";
import { findAddress, placeSandbox } from "#domain/host/place-sandbox";
import { type DriverEffect, type SandboxEvent, type SandboxState, stillWanted } from "#domain/sandbox/machine";
import { networkOf } from "#domain/sandbox/network";
import type { SandboxSpec } from "#domain/sandbox/ports";
import { Fault, type Result } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { type KeptMetrics, keepMetrics } from "#objects/sandbox/metrics";
import { containerUse } from "#platform/sandbox/container-use";
import { sandboxBackend } from "#platform/sandbox/port";

/** What the driver sees of the object it works for. */
type Owner = {
  spec(): SandboxSpec | undefined;
  state(): SandboxState;
  metrics: KeptMetrics;
  send(event: SandboxEvent): Result<SandboxState>;
  until(done: (state: SandboxState) => boolean): Promise<void>;
};

/** Performs a sandbox's effects on the machine that runs it, and reports what came of them to the machine of states. */
export class SandboxDriver {
  readonly #env: Env;
  readonly #owner: Owner;

  constructor(env: Env, owner: Owner) {
    this.#env = env;
    this.#owner = owner;
  }

  /** Throws to be repeated later. Ends early once the effect is no longer wanted, so that a stop need not wait. */
  async perform(effect: DriverEffect): Promise<void> {
    const spec = this.#owner.spec();
    if (!spec || !stillWanted(effect, this.#owner.state())) return;
    const work = effect.type === "boot" ? this.#boot(effect, spec) : this.#halt(effect, spec);
    await Promise.race([work, this.#owner.until((state) => !stillWanted(effect, state))]);
  }

  async #boot({ generation, waitUntil }: Extract<DriverEffect, { type: "boot" }>, spec: SandboxSpec): Promise<void> {
    const db = drizzle(this.#env.DB);
    const placed = await placeSandbox(db, spec, this.#owner.state().hostId, containerUse(this.#env));
    if (!placed.ok) return this.#report({ type: "not_placed", generation, code: placed.code, message: placed.message });
    this.#report({ type: "placed", generation, ...placed.value });
    const network = await networkOf(db, spec, this.#env.SANDBOX_EGRESS ?? "");
    const answer = await sandboxBackend(this.#env, placed.value).start(spec, generation, network);
    if (answer.ok) return this.#report({ type: "booted", generation });
    const { code, message } = answer;
    if (code === "host_lost" && Date.now() < waitUntil) throw new Fault(code, message);
    this.#report({ type: "not_booted", generation, code, message });
  }

  async #halt(effect: Extract<DriverEffect, { type: "halt" }>, spec: SandboxSpec): Promise<void> {
    const { generation, hostId, files, giveUpAt } = effect;
    const address = await findAddress(drizzle(this.#env.DB), hostId);
    if (address) {
      const backend = sandboxBackend(this.#env, { hostId, address });
      await keepMetrics(this.#owner.metrics, backend, { id: spec.id, generation, wiped: files === "wipe" });
      const answer = await backend.stop(spec.id, generation, files);
      if (!answer.ok && Date.now() < giveUpAt) throw new Fault(answer.code, answer.message);
    }
    this.#report({ type: "halted", generation });
  }

  /** Whether the sandbox still runs where it was placed. A host that does not answer has lost it, as far as one can know. */
  async check(): Promise<void> {
    const spec = this.#owner.spec();
    const { hostId, address, generation } = this.#owner.state();
    if (!spec || hostId === null || address === null) return;
    const answer = await sandboxBackend(this.#env, { hostId, address }).inspect(spec.id, generation);
    if (answer.ok && answer.value.running) return this.#report({ type: "found", generation });
    const message = answer.ok ? "the host no longer runs the sandbox" : answer.message;
    this.#report({ type: "lost", generation, message });
  }

  #report(event: SandboxEvent): void {
    const sent = this.#owner.send(event);
    if (!sent.ok) createLog(this.#env.LOG_LEVEL).warn("an answer of a host was refused", { event, ...sent });
  }
}
