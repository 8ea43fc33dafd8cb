import { drizzle } from "drizzle-orm/d1";
import { findAddress, placeSandbox } from "#domain/host/place-sandbox";
import { stillWanted } from "#domain/sandbox/machine";
import { networkOf } from "#domain/sandbox/network";
import type { SandboxBackend, SandboxSpec } from "#domain/sandbox/ports";
import type { DriverEffect, SandboxEvent, SandboxState } from "#domain/sandbox/state";
import { Fault, ok, type Result, refuse } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { type Beginning, beginningOf, watchFilling } from "#objects/sandbox/filling";
import { type KeptMetrics, keepMetrics } from "#objects/sandbox/metrics";
import { containerUse } from "#platform/sandbox/container-use";
import { sandboxBackend } from "#platform/sandbox/port";
import type { SandboxSetup } from "#protocol/host-agent";

type EffectOf<T extends DriverEffect["type"]> = Extract<DriverEffect, { type: T }>;

/** What the driver sees of the object it works for. */
type Owner = {
  spec(): SandboxSpec | undefined;
  state(): SandboxState;
  keepSetup(setup: SandboxSetup): void;
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
    await Promise.race([this.#work(effect, spec), this.#owner.until((state) => !stillWanted(effect, state))]);
  }

  #work(effect: DriverEffect, spec: SandboxSpec): Promise<void> {
    if (effect.type === "boot") return this.#boot(effect, spec);
    return effect.type === "halt" ? this.#halt(effect, spec) : this.#hold(effect, spec);
  }

  async #boot({ generation, giveUpAt }: EffectOf<"boot">, spec: SandboxSpec): Promise<void> {
    const db = drizzle(this.#env.DB);
    const placed = await placeSandbox(db, spec, this.#owner.state().hostId, containerUse(this.#env));
    if (!placed.ok) return this.#report({ type: "not_placed", generation, code: placed.code, message: placed.message });
    this.#report({ type: "placed", generation, ...placed.value });
    const network = await networkOf(db, spec, this.#env.SANDBOX_EGRESS ?? "");
    const found = await this.#beginning(spec, placed.value);
    if (!found.ok) return this.#report({ type: "not_booted", generation, code: found.code, message: found.message });
    const { source, setup } = found.value;
    const backend = sandboxBackend(this.#env, placed.value);
    const starting = backend.start({ ...spec, setup }, generation, network, source);
    if (source) {
      const tell = (message: string) => this.#report({ type: "progress", generation, message });
      await watchFilling(backend, { id: spec.id, generation }, starting, tell);
    }
    const answer = await starting;
    if (answer.ok) return this.#report({ type: "booted", generation, machine: answer.value.machine });
    const { code, message } = answer;
    if (code === "host_lost" && Date.now() < giveUpAt) throw new Fault(code, message);
    this.#report({ type: "not_booted", generation, code, message });
  }

  /** Only the first start asks for the template: afterwards all of it is the sandbox's own, whatever became of it. */
  async #beginning(spec: SandboxSpec, place: { hostId: string }): Promise<Result<Beginning>> {
    if (this.#owner.state().startedAt !== null) return ok({ source: null, setup: spec.setup ?? null });
    const found = await beginningOf(this.#env, drizzle(this.#env.DB), spec, place);
    if (found.ok && found.value.setup) this.#owner.keepSetup(found.value.setup);
    return found;
  }

  /** Freezes or thaws. What was measured until a pause is kept first: its machine may forget it. */
  async #hold({ type, generation, giveUpAt }: EffectOf<"freeze" | "thaw">, { id }: SandboxSpec): Promise<void> {
    const refused = type === "freeze" ? "not_frozen" : "not_thawed";
    const backend = await this.#backend(generation);
    if (backend && type === "freeze") await keepMetrics(this.#owner.metrics, backend, { id, generation });
    const answer = await (backend?.[type](id, generation) ?? refuse("host_lost", "the host is not there"));
    if (answer.ok && answer.value === "gone") {
      await this.#look(id, generation, backend);
      // Ignored if the look has settled it.
      return this.#report({
        type: refused,
        generation,
        code: "host_lost",
        message: "the host does not run the sandbox",
      });
    }
    if (answer.ok) return this.#report({ type: type === "freeze" ? "frozen" : "thawed", generation });
    const { code, message } = answer;
    if (code === "host_lost" && Date.now() < giveUpAt) throw new Fault(code, message);
    this.#report({ type: refused, generation, code, message });
  }

  /** The machine where the sandbox was placed, at the address it has now; undefined when it is gone. */
  async #backend(generation: number): Promise<SandboxBackend | undefined> {
    const { hostId } = this.#owner.state();
    if (hostId === null) return undefined;
    const address = await findAddress(drizzle(this.#env.DB), hostId);
    if (!address) return undefined;
    this.#report({ type: "placed", generation, hostId, address });
    return sandboxBackend(this.#env, { hostId, address });
  }

  async #halt(effect: EffectOf<"halt">, spec: SandboxSpec): Promise<void> {
    const { generation, hostId, files, giveUpAt } = effect;
    const address = await findAddress(drizzle(this.#env.DB), hostId);
    const backend = address ? sandboxBackend(this.#env, { hostId, address }) : undefined;
    await keepMetrics(this.#owner.metrics, backend, { id: spec.id, generation, wiped: files === "wipe" });
    if (backend) {
      const answer = await backend.stop(spec.id, generation, files);
      if (!answer.ok && Date.now() < giveUpAt) throw new Fault(answer.code, answer.message);
    }
    this.#report({ type: "halted", generation });
  }

  /** Keeps what was measured of a running sandbox that its host paused by itself, under this lease. */
  async keepMetrics(generation: number): Promise<void> {
    const { status, hostId, address, generation: current } = this.#owner.state();
    const id = this.#owner.spec()?.id;
    if (id === undefined || hostId === null || address === null) return;
    if (status !== "running" || generation !== current) return;
    await keepMetrics(this.#owner.metrics, sandboxBackend(this.#env, { hostId, address }), { id, generation });
  }

  /** Whether the sandbox still runs where it was placed. */
  async check(): Promise<void> {
    const spec = this.#owner.spec();
    const { hostId, address, generation } = this.#owner.state();
    if (!spec || hostId === null || address === null) return;
    await this.#look(spec.id, generation, sandboxBackend(this.#env, { hostId, address }));
  }

  async #look(id: string, generation: number, backend: SandboxBackend | undefined): Promise<void> {
    const answer = await (backend?.inspect(id, generation) ?? refuse("host_lost", "the host is not there"));
    if (!answer.ok) return this.#report({ type: "silent", generation, message: answer.message });
    const there = answer.value;
    if (there === "running" || there === "paused") {
      return this.#report({ type: "found", generation, frozen: there === "paused" });
    }
    const message = "the host no longer runs the sandbox";
    this.#report({ type: "ended", generation, message, files: there === "stopped" });
  }

  #report(event: SandboxEvent): void {
    const sent = this.#owner.send(event);
    if (!sent.ok) createLog(this.#env.LOG_LEVEL).warn("an answer of a host was refused", { event, ...sent });
  }
}
