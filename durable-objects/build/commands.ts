import { type HealthCheck, isForgiven } from "#domain/build/health-check";
import type { SandboxLink } from "#domain/sandbox/ports";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";
import { Output } from "#objects/build/output";
import type { Place, Stream } from "#objects/build/store";
import type { ExecRequest, ExecResult } from "#protocol/supervisor";

/** How long a sandbox knows a process that has ended. */
const KNOWN_MS = 50 * SECOND;
const KEPT_BYTES = 4 * 1024 * 1024;
const MAX_LOSSES = 5;
const LOST_PAUSE_MS = 500;

/** Where and as whom commands of the build run. */
export type Setting = { cwd?: string; env: Record<string, string>; user?: string };

/** What the commands of a step need of the build. */
export type StepScene = {
  buildId: string;
  step: number;
  /** When the step began, and whether an earlier life of the object may have started its command. */
  since: number;
  resumed: boolean;
  started: boolean;
  link: SandboxLink;
  setting: Setting;
  signal: AbortSignal;
  /** Up to where the output of the step was read and told. */
  place: () => Place;
  write: (texts: Partial<Record<Stream, string>>, place: Place) => void;
  /** Notes that the command of the step runs. */
  noteStarted: () => void;
};

export type Outcome = { exit: number | null; message: string | null };
const FINE: Outcome = { exit: 0, message: null };

/**
 * Runs a command line as a process of the sandbox, which outlives this object: after a restart it is found again by its
 * tag, its output is read on from where it stood, and it is never run twice. One whose end nobody saw has failed.
 */
export async function runCommand(scene: StepScene, command: string, timeoutMs: number): Promise<Outcome> {
  const { link, since, resumed, started, setting, signal, noteStarted } = scene;
  const tag = tagOf(scene);
  if (!resumed || !(await isKnown(scene, tag))) {
    if (resumed && (started || Date.now() - since > KNOWN_MS)) {
      return { exit: null, message: "nobody saw how it ended, because the build was interrupted meanwhile" };
    }
    await link.processes.start({ tag, command, ...setting, keep: KEPT_BYTES }).catch(unlessThere);
  }
  noteStarted();
  let late = false;
  const kill = () => {
    late = true;
    link.processes.kill(tag, "SIGKILL").catch(() => {});
  };
  const timer = setTimeout(kill, Math.max(0, since + timeoutMs - Date.now()));
  const output = new Output(scene.place(), scene.write);
  try {
    const exit = await follow(scene, tag, output);
    if (late) return { exit, message: `it did not end within ${timeoutMs / SECOND} seconds` };
    return exit === 0 ? FINE : { exit, message: `it ended with exit code ${exit}` };
  } finally {
    clearTimeout(timer);
    if (!signal.aborted) output.flush();
  }
}

/** Starts a command line that goes on while the build does. */
export async function startCommand(scene: StepScene, command: string): Promise<Outcome> {
  const { link, setting } = scene;
  await link.processes.start({ tag: tagOf(scene), command, ...setting }).catch(unlessThere);
  return FINE;
}

/** Runs a short command that may be repeated. */
export async function runBriefly(
  scene: StepScene,
  command: ExecRequest["command"],
  timeoutMs: number,
): Promise<Outcome> {
  const { link, setting, signal, write, place } = scene;
  const { user: _, ...where } = setting;
  const execId = `build-${scene.buildId}-${crypto.randomUUID()}`;
  const result = await link.exec({ execId, command, ...where, timeoutMs }, signal);
  write({ stdout: textOf(result, "stdout"), stderr: textOf(result, "stderr") }, place());
  if (result.timedOut) return { exit: result.exitCode, message: `it did not end within ${timeoutMs / SECOND} seconds` };
  return result.exitCode === 0
    ? FINE
    : { exit: result.exitCode, message: `it ended with exit code ${result.exitCode}` };
}

/** Whether the sandbox has a user; its own is the only one on hosts. */
export async function tryUser(scene: StepScene, user: string): Promise<Outcome> {
  const { link, setting } = scene;
  try {
    await link.processes.start({ tag: tagOf(scene), command: ["true"], env: setting.env, user }).catch(unlessThere);
    return FINE;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "not_supported") throw error;
    return { exit: null, message: `this host has no user ${user} for it: commands run as the sandbox's own user` };
  }
}

/** Repeats the check until it succeeds (platform R420). */
export async function awaitHealth(scene: StepScene, check: HealthCheck): Promise<Outcome> {
  const first = Date.now();
  for (let failures = 0; ; ) {
    const begun = Date.now();
    const outcome = await runBriefly(scene, check.command, check.timeoutMs);
    if (outcome.message === null) return outcome;
    if (begun - first >= check.startPeriodMs) failures++;
    if (!isForgiven(check, begun - first, failures))
      return { ...outcome, message: `the last attempt failed: ${outcome.message}` };
    await pause(check.intervalMs, scene.signal);
  }
}

async function follow({ link, signal }: StepScene, tag: string, output: Output): Promise<number> {
  for (let losses = 0; ; ) {
    try {
      for await (const line of link.processes.attach(tag, output.read, signal)) {
        losses = 0;
        if (line.type === "data") output.take(line.stream === "stderr" ? "stderr" : "stdout", line.offset, line.data);
        if (line.type === "gap") output.skip(line.from, line.to);
        if (line.type === "exit") return line.exitCode;
      }
      throw new Fault("host_lost", "the output of the command broke off");
    } catch (error) {
      const lost = error instanceof Fault && error.code === "host_lost" && !signal.aborted;
      if (!lost || ++losses > MAX_LOSSES) throw error;
      await pause(LOST_PAUSE_MS * losses, signal);
    }
  }
}

async function isKnown({ link, signal }: StepScene, tag: string): Promise<boolean> {
  try {
    for await (const _ of link.processes.attach(tag, "now", signal)) return true;
    return true;
  } catch (error) {
    if (error instanceof Fault && error.code === "process_not_found") return false;
    throw error;
  }
}

const tagOf = ({ step }: StepScene) => `build-${step + 1}`;

/** A process of that tag was started by an earlier life of the object. */
function unlessThere(error: unknown): void {
  if (!(error instanceof Fault && error.code === "conflict")) throw error;
}

/** Output that is not text is shown with replacement characters. */
function textOf(result: ExecResult, stream: Stream): string {
  if (result.encoding === "utf8") return result[stream];
  return new TextDecoder().decode(Uint8Array.from(atob(result[stream]), (c) => c.charCodeAt(0)));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
