import { z } from "zod";
import type { Log } from "#kernel/log";
import { SECOND } from "#kernel/time";
import type { SandboxSetup } from "#protocol/host-agent";
import type { Reply } from "./connection.ts";
import type { RunningSandbox } from "./sandbox.ts";

const DEADLINE_MS = 15 * SECOND;
/** A command that fails at once has done so by then. */
const LOOK_AFTER_MS = 2 * SECOND;
const FAILED = "a command of the template failed";

const Running = z.object({ processes: z.array(z.object({ tag: z.string() })) });
const LastLine = z.object({ type: z.literal("exit"), exitCode: z.int() });

/**
 * Gives a sandbox that has just been started its template's variables, and starts the commands in order, each as a
 * process of its own. Fails when the supervisor does not take the variables; a command that fails is only logged.
 */
export async function setUp(sandbox: RunningSandbox, { env, start }: SandboxSetup, log: Log): Promise<void> {
  const given = await inTime(sandbox, call(sandbox, "PUT", "/v1/environment", { env }));
  if (given.status !== 204) throw new Error(`the environment was refused: ${textOf(given)}`);
  const tags: string[] = [];
  for (const [index, command] of start.entries()) {
    const tag = `start-${index + 1}`;
    const answer = await inTime(sandbox, call(sandbox, "POST", "/v1/processes", { tag, ...command }));
    if (answer.status === 200) tags.push(tag);
    else log.warn(FAILED, { tag, why: textOf(answer) });
  }
  if (tags.length > 0) setTimeout(() => void logFailed(sandbox, tags, log).catch(() => {}), LOOK_AFTER_MS).unref();
}

/** Logs those that have ended meanwhile, and not well. */
async function logFailed(sandbox: RunningSandbox, tags: readonly string[], log: Log): Promise<void> {
  const { body } = await call(sandbox, "GET", "/v1/processes");
  const running = new Set(Running.parse(JSON.parse(body.toString())).processes.map(({ tag }) => tag));
  for (const tag of tags.filter((one) => !running.has(one))) {
    const end = await call(sandbox, "GET", `/v1/processes/${tag}/stream?after=now`);
    const last = LastLine.safeParse(JSON.parse(end.body.toString().trim().split("\n").at(-1) ?? "null"));
    if (last.success && last.data.exitCode !== 0) {
      log.warn(FAILED, { tag, why: `it ended with exit code ${last.data.exitCode}` });
    }
  }
}

const call = ({ connection }: RunningSandbox, method: string, path: string, body?: object): Promise<Reply> =>
  connection.call(method, path, body && JSON.stringify(body));

const textOf = ({ body }: Reply): string => body.toString("utf8", 0, 500);

/** A supervisor that says nothing, or ends, must not hold up the start. */
async function inTime<T>(sandbox: RunningSandbox, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the supervisor did not answer")), DEADLINE_MS);
  });
  const ended = sandbox.exited.then((why) => Promise.reject(new Error(`the supervisor ended: ${why}`)));
  try {
    return await Promise.race([work, ended, late]);
  } finally {
    clearTimeout(timer);
  }
}
