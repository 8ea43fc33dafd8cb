import { drizzle } from "drizzle-orm/d1";
import { systemActor } from "#domain/actor";
import type { BuildEffect, BuildState } from "#domain/build/machine";
import type { BuildOrder } from "#domain/build/ports";
import { publishBuild } from "#domain/build/repo";
import { recordChange } from "#objects/kit/record";
import { contextOf } from "#platform/context";

type Told = { order: BuildOrder; state: BuildState };

/** Tells the world outside of what a build's object holds to be true, and tidies up behind the build. */
export class BuildDirectory {
  readonly #ctx: DurableObjectState;
  readonly #env: Env;

  constructor(ctx: DurableObjectState, env: Env) {
    this.#ctx = ctx;
    this.#env = env;
  }

  /** Throws to be repeated later. `seq` names the effect. */
  async perform(effect: BuildEffect, seq: number, { order, state }: Told): Promise<void> {
    if (effect.type === "clean") return this.#clean(order);
    if (effect.type === "record") {
      const { action, at, reason } = effect;
      const metadata = { name: order.name, ...(reason !== null && { reason }) };
      return recordChange({ ctx: this.#ctx, env: this.#env }, String(seq), {
        ...{ teamId: null, action, subjectId: order.id, at, metadata },
      });
    }
    const { status, error, startedAt, completedAt, done } = state;
    const spec = { ...order.spec, teamId: order.teamId, done };
    await publishBuild(drizzle(this.#env.DB), order.id, { status, error, startedAt, completedAt, spec });
  }

  async #clean({ id, teamId, sandboxId, spec }: BuildOrder): Promise<void> {
    const ctx = { ...contextOf(this.#env, id), actor: systemActor("system", teamId) };
    if (spec.archive !== null) await ctx.archives.delete(spec.archive);
    const answer = await ctx.sandboxes.sandbox(sandboxId).destroy(teamId);
    if (!answer.ok && answer.code !== "sandbox_not_found") throw new Error(answer.message);
  }
}
