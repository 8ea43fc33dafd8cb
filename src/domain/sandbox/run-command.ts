import { type Ctx, demand } from "#domain/context";
import { sandboxLinkOf } from "#domain/sandbox/sandbox-link-of";
import { Fault } from "#kernel/fault";
import type { ExecResult } from "#protocol/supervisor";

export type Command = {
  /** A shell command line. */
  command: string;
  cwd?: string | undefined;
  env?: Record<string, string> | undefined;
  stdinText?: string | undefined;
  /** Milliseconds until the command and all it started are killed; none when absent. */
  timeoutMs?: number | undefined;
};

export type CommandOutcome = { stdout: string; stderr: string; exitCode: number };

/**
 * Runs a command in a sandbox and waits for its end. Every exit code is an outcome; a command that ran out of time is
 * a `timeout`. An aborted `signal` kills it.
 */
export async function runCommand(
  ctx: Ctx,
  sandboxId: string,
  { command, cwd, env, stdinText: stdin, timeoutMs }: Command,
  signal: AbortSignal,
): Promise<CommandOutcome> {
  demand(ctx.actor, "sandbox:write");
  const link = await sandboxLinkOf(ctx, sandboxId);
  const given = { cwd, env, stdin, timeoutMs };
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const result = await link.exec({ execId: ctx.newId("operation"), command, ...options }, signal);
  if (result.timedOut) throw new Fault("timeout", `the command was killed after ${timeoutMs} ms`);
  return { stdout: textOf(result, "stdout"), stderr: textOf(result, "stderr"), exitCode: result.exitCode };
}

/** Output that is not text comes as base64; what is not UTF-8 in it is shown as replacement characters. */
function textOf(result: ExecResult, stream: "stdout" | "stderr"): string {
  if (result.encoding === "utf8") return result[stream];
  return new TextDecoder().decode(Uint8Array.from(atob(result[stream]), (c) => c.charCodeAt(0)));
}
