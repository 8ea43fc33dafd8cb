import { COPY, COPY_TIMEOUT_MS, STAGE, sourceIn, TIDY, UNPACK, UNPACK_TIMEOUT_MS } from "#domain/build/archive";
import { type BuildEvent, type BuildState, type StepEffect, taskOf } from "#domain/build/machine";
import type { BuildStep, BuildWork } from "#domain/build/plan";
import type { BuildLogEntry, BuildOrder, TemplateSnapshots } from "#domain/build/ports";
import { expand, filledIn } from "#domain/build/recipe";
import type { Ctx } from "#domain/context";
import { createSandbox } from "#domain/sandbox/create-sandbox";
import type { SandboxLink } from "#domain/sandbox/ports";
import { findSandbox } from "#domain/sandbox/repo";
import { findTemplateById, findUsableTemplate, type Template } from "#domain/template/repo";
import { setupOf, startEntry } from "#domain/template/setup";
import { PLATFORM_TEAM } from "#domain/template/values";
import { Fault, unwrap } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import {
  awaitHealth,
  type Outcome,
  runBriefly,
  runCommand,
  type StepScene,
  startCommand,
  tryUser,
} from "#objects/build/commands";
import type { BuildStore, Place, Stream } from "#objects/build/store";
import type { SandboxSetup } from "#protocol/host-agent";

const NOTHING: SandboxSetup = { env: {}, start: [] };
const BRIEF_MS = 30 * SECOND;

/** What the runner sees of the object it works for. */
type Owner = {
  ctx: Ctx;
  order: BuildOrder;
  plan: readonly BuildStep[];
  snapshots: TemplateSnapshots;
  store: Pick<BuildStore, "placeOf">;
  /** Aborts once the build is over. */
  signal: AbortSignal;
  state(): BuildState;
  send(event: BuildEvent): void;
  openStep(step: number): void;
  write(step: number, texts: Partial<Record<Stream, string>>, place: Place): void;
  closeStep(step: number, end: Pick<BuildLogEntry, "exit" | "ok" | "elapsedMs">, event: BuildEvent): void;
};

type Done = Outcome & { changes?: StepEffect };

/** Does what a build has to do next, and reports what came of it to its machine. Faults that it throws fail the build. */
export class BuildRunner {
  readonly #owner: Owner;
  #base: Record<string, string> | undefined;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  async perform(): Promise<void> {
    const task = taskOf(this.#owner.state());
    if (task === "prepare") await this.#prepare();
    if (task === "step") await this.#step();
    if (task === "take") await this.#take();
  }

  /** Makes the sandbox, whose id was chosen before, so that an interrupted build does not make another one. */
  async #prepare(): Promise<void> {
    const { ctx, order } = this.#owner;
    const { sandboxId, teamId, spec } = order;
    if (!(await findSandbox(ctx.db, teamId, sandboxId))) {
      const newId: Ctx["newId"] = (kind) => (kind === "sandbox" ? sandboxId : ctx.newId(kind));
      const { vcpus, memoryMb } = spec;
      const sizes = { ...(vcpus !== null && { vcpus }), ...(memoryMb !== null && { memoryMb }) };
      await createSandbox({ ...ctx, newId }, { template: order.baseTemplate, ...sizes, metadata: { build: order.id } });
    }
    const { hostId } = unwrap(await ctx.sandboxes.sandbox(sandboxId).start(teamId));
    this.#owner.send({ type: "ready", hostId });
  }

  async #step(): Promise<void> {
    const { order, plan, store, signal } = this.#owner;
    const { done: step, stepAt } = this.#owner.state();
    const planned = plan[step];
    if (!planned) return;
    if (stepAt === null) this.#owner.openStep(step);
    const state = this.#owner.state();
    const since = state.stepAt ?? Date.now();
    const { env, cwd, user } = state;
    const scene: StepScene = {
      ...{ buildId: order.id, step, since, resumed: stepAt !== null, started: state.stepStarted, signal },
      place: () => store.placeOf(step + 1),
      link: this.#link(),
      setting: { env, ...(cwd !== null && { cwd }), ...(user !== null && { user }) },
      write: (texts, place) => this.#owner.write(step, texts, place),
      noteStarted: () => this.#owner.send({ type: "step_running", step }),
    };
    const { exit, message, changes } = await this.#do(planned.work, scene, state).catch(asOutcome);
    if (signal.aborted) return;
    const elapsedMs = Date.now() - since;
    const why = `step ${step + 1} failed (${planned.cmd.slice(0, 200)}): ${message}`;
    this.#owner.closeStep(
      step,
      { exit, ok: message === null, elapsedMs },
      message === null
        ? { type: "step_done", step, ...(changes && { changes }) }
        : { type: "step_failed", step, message: why },
    );
  }

  async #do(work: BuildWork, scene: StepScene, { env, cwd }: BuildState): Promise<Done> {
    switch (work.type) {
      case "run":
        return runCommand(scene, work.command, work.timeoutMs);
      case "start":
        return {
          ...(await startCommand(scene, work.command)),
          changes: { start: { command: work.command, ...(await this.#startsIn(scene.link, cwd)) } },
        };
      case "env": {
        const value = filledIn(work.value, { ...(await this.#baseOf(scene.link)), ...env });
        return { exit: null, message: null, changes: { env: { [work.name]: value } } };
      }
      case "workdir": {
        const base = await this.#baseOf(scene.link);
        const path = expand(work.path, { ...base, ...env });
        const target = path.startsWith("/") ? path : `${cwd ?? base.HOME ?? ""}/${path}`;
        const made = await runBriefly(scene, ["mkdir", "-p", "--", target], BRIEF_MS);
        return { ...made, changes: { cwd: target } };
      }
      case "user":
        return { ...(await tryUser(scene, work.name)), changes: { user: work.name } };
      case "health":
        return awaitHealth(scene, work.check);
      case "copy":
        return this.#copy(work, scene, { env, cwd });
      case "unpack":
        return this.#unpack(work.key, scene);
      case "invalid":
        return { exit: null, message: work.message };
      default:
        return work satisfies never;
    }
  }

  async #take(): Promise<void> {
    const { ctx, order, snapshots } = this.#owner;
    const { env, user, starts } = this.#owner.state();
    const { spec, sandboxId, teamId, name, id, createdBy } = order;
    const there = await findUsableTemplate(ctx.db, PLATFORM_TEAM, name);
    // An earlier life of the object took it, and did not come to say so.
    if (there?.metadata.build === id) return this.#owner.send({ type: "taken" });
    const sandbox = await findSandbox(ctx.db, teamId, sandboxId);
    if (spec.archive !== null) {
      const execId = `build-${id}-tidy`;
      await this.#link().exec({ execId, command: TIDY, timeoutMs: BRIEF_MS }, this.#owner.signal);
    }
    const from = await this.#template();
    const base = from ? setupOf(from) : NOTHING;
    const type = spec.healthCheck === null ? "base" : "snapshot";
    const sizes = type === "snapshot" ? sandbox : spec;
    const taken = await snapshots.take({
      ...{ sandboxId, teamId, name, type, createdBy },
      ...{ defaultUser: user ?? from?.defaultUser ?? null, defaultEnv: { ...base.env, ...env } },
      ...{ vcpus: sizes?.vcpus ?? null, memoryMb: sizes?.memoryMb ?? null },
      metadata: { build: id, ...startEntry([...base.start, ...starts]) },
    });
    unwrap(taken);
    this.#owner.send({ type: "taken" });
  }

  /** Commands of the archive stand in the sandbox's home, whatever the recipe has set. */
  async #unpack(key: string, scene: StepScene): Promise<Done> {
    const body = await this.#owner.ctx.archives.get(key);
    if (!body) return { exit: null, message: "its archive is gone" };
    const atHome = { ...scene, setting: { env: {} } };
    await runBriefly(atHome, `${TIDY} && mkdir "$HOME/${STAGE}"`, BRIEF_MS);
    await scene.link.write(`${STAGE}/archive`, body, { overwrite: true });
    return runBriefly(atHome, UNPACK, UNPACK_TIMEOUT_MS);
  }

  async #copy(
    { sources, target }: Extract<BuildWork, { type: "copy" }>,
    scene: StepScene,
    { env, cwd }: Pick<BuildState, "env" | "cwd">,
  ): Promise<Done> {
    if (this.#owner.order.spec.archive === null) return { exit: null, message: "the build came without an archive" };
    const base = await this.#baseOf(scene.link);
    const all = { ...base, ...env };
    const from = sources.map((source) => sourceIn(expand(source, all)));
    const inside = from.filter((source) => source !== undefined);
    if (inside.length < from.length) return { exit: null, message: "a source leads out of the archive" };
    const path = expand(target, all);
    const to = path.startsWith("/") ? path : `${cwd ?? base.HOME ?? ""}/${path}`;
    return runBriefly({ ...scene, setting: { env: {} } }, ["sh", "-c", COPY, "sh", to, ...inside], COPY_TIMEOUT_MS);
  }

  /** The base template, whose variables, user and commands the new one inherits; undefined for one without files. */
  async #template(): Promise<Template | undefined> {
    const { ctx, order } = this.#owner;
    const sandbox = await findSandbox(ctx.db, order.teamId, order.sandboxId);
    return sandbox?.templateId ? findTemplateById(ctx.db, order.teamId, sandbox.templateId) : undefined;
  }

  /** Where a command of START runs; below the home it is told from there, which is elsewhere in another sandbox. */
  async #startsIn(link: SandboxLink, cwd: string | null): Promise<{ cwd?: string }> {
    if (cwd === null) return {};
    const { HOME } = await this.#baseOf(link);
    return { cwd: HOME && cwd.startsWith(`${HOME}/`) ? cwd.slice(HOME.length + 1) : cwd };
  }

  #link(): SandboxLink {
    const { ctx, order } = this.#owner;
    return ctx.sandboxes.link(order.teamId, order.sandboxId, { wake: false });
  }

  /** What the sandbox itself gives to commands, as far as lines of a recipe use it. */
  async #baseOf(link: SandboxLink): Promise<Record<string, string>> {
    if (!this.#base) {
      const execId = `build-${this.#owner.order.id}-base`;
      const command = 'printf "%s\\n%s" "$PATH" "$HOME"';
      const { stdout } = await link.exec({ execId, command, timeoutMs: BRIEF_MS }, this.#owner.signal);
      const [PATH = "", HOME = ""] = stdout.split("\n");
      this.#base = { ...(await this.#template())?.defaultEnv, PATH, HOME };
    }
    return this.#base;
  }
}

/** What refused a step is why it failed; anything else is not known to be its fault. */
function asOutcome(error: unknown): Done {
  if (!(error instanceof Fault) || error.code === "internal") throw error;
  return { exit: null, message: error.message };
}
