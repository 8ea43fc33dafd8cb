import { drizzle } from "drizzle-orm/d1";
import { eventActor, makerOf, SYSTEM } from "#domain/event/actors";
import { tellReaders } from "#domain/event/announce";
import type { NewTeamEvent } from "#domain/event/emit";
import type { SandboxNews } from "#domain/sandbox/news";
import type { SandboxSpec } from "#domain/sandbox/ports";
import { publishSandbox } from "#domain/sandbox/repo";
import type { DirectoryEffect, SandboxState } from "#domain/sandbox/state";
import type { SandboxStatus } from "#domain/sandbox/status";
import { createLog } from "#kernel/log";
import { recordChange } from "#objects/kit/record";
import { teamPort } from "#platform/event/port";
import type { EventReason, TransientEvent } from "#protocol/team-feed";

type Told = { spec: SandboxSpec; state: SandboxState; lastActiveAt: number | null };
type Effect<T extends DirectoryEffect["type"]> = Extract<DirectoryEffect, { type: T }>;

/** Tells the world outside of what a sandbox's object holds to be true: directory, audit log, events. */
export class SandboxDirectory {
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly #told: () => Told | undefined;

  constructor(ctx: DurableObjectState, env: Env, told: () => Told | undefined) {
    this.#ctx = ctx;
    this.#env = env;
    this.#told = told;
  }

  /** Throws to be repeated later. `seq` names the effect. */
  async perform(effect: DirectoryEffect, seq: number): Promise<void> {
    const told = this.#told();
    if (!told) return;
    if (effect.type === "record") return this.#record(effect, seq, told);
    if (effect.type === "tell") return this.#tell(effect, told);
    const { status, reason, hostId, startedAt } = told.state;
    const machine = status === "running" ? told.state.machine : null;
    const patch = { status, statusReason: reason, hostId, startedAt, machine, lastActiveAt: told.lastActiveAt };
    await publishSandbox(drizzle(this.#env.DB), told.spec.id, { ...patch, updatedAt: Date.now() });
  }

  async #record({ action, at, reason, failed, by, news }: Effect<"record">, seq: number, told: Told): Promise<void> {
    const { id: subjectId, teamId } = told.spec;
    const metadata = reason === null ? {} : { reason };
    const event = news && (await this.#eventOf(news, { at, by }, told.spec));
    const what = { teamId, action, subjectId, at, metadata, ...(failed && { failed }) };
    const entry = { ...what, ...(by && { by }), ...(event && { event }) };
    await recordChange({ ctx: this.#ctx, env: this.#env }, String(seq), entry);
  }

  /** A creation is its maker's, whoever started the sandbox first; anything else is whose who asked for it. */
  async #eventOf(
    news: SandboxNews,
    { at, by }: { at: number; by: SandboxState["by"] | undefined },
    spec: SandboxSpec,
  ): Promise<NewTeamEvent> {
    const { reason, ...what } = news;
    const actor = what.type === "capsule.create" ? await makerOf(drizzle(this.#env.DB), spec.id) : actorOf(by);
    const about = { teamId: spec.teamId, resource: { id: spec.id, type: "sandbox" }, at, actor } as const;
    return { ...what, ...about, metadata: reason === null ? {} : { reason } };
  }

  /** Nobody waits for what is only told, so a failure is the end of it. */
  async #tell({ from, to, at }: Effect<"tell">, { spec, state }: Told): Promise<void> {
    const event: TransientEvent = {
      type: "capsule.state.changed",
      teamId: spec.teamId,
      resource: { id: spec.id, type: "sandbox" },
      actor: actorOf(state.by),
      metadata: { from, to, ...reasonOf(to, state) },
      at,
    };
    try {
      await tellReaders(teamPort(this.#env), event);
    } catch (error) {
      createLog(this.#env.LOG_LEVEL).warn("a change of status was not told", { sandboxId: spec.id, error });
    }
  }
}

const actorOf = (by: SandboxState["by"] | undefined) => (by ? eventActor(by) : SYSTEM);

function reasonOf(to: SandboxStatus, { cause }: SandboxState): { reason?: EventReason } {
  const reason = to === "missing" ? "host_failure" : cause;
  return reason === null ? {} : { reason };
}
