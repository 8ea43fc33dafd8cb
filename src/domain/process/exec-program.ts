import type { Ctx } from "#domain/context";
import { asRequest, type Program, refusingDirectory } from "#domain/process/program";
import { runningSandbox } from "#domain/process/running-sandbox";
import { Fault } from "#kernel/fault";
import type { ExecResult } from "#protocol/supervisor";

/**
 * Runs a program to its end. Every exit code is a result. One whose time is up is killed with everything it started and
 * is a `timeout` (platform R187); an aborted `signal` kills it as well.
 */
export async function execProgram(
  ctx: Ctx,
  sandboxId: string,
  program: Program & { timeoutMs: number },
  signal: AbortSignal,
): Promise<ExecResult> {
  const link = runningSandbox(ctx, sandboxId);
  const { timeoutMs } = program;
  const request = { execId: ctx.newId("operation"), ...asRequest(program), timeoutMs };
  const result = await refusingDirectory(link.exec(request, signal));
  if (result.timedOut) throw new Fault("timeout", `the command was killed after ${timeoutMs} ms`);
  return result;
}
