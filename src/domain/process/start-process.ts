import type { Ctx } from "#domain/context";
import { asRequest, type Program, refusingDirectory } from "#domain/process/program";
import { runningSandbox } from "#domain/process/running-sandbox";
import type { StartedProcess } from "#protocol/supervisor";

/** Starts a program that outlives the request. A tag that a live process has is a `conflict` (platform R202). */
export async function startProcess(
  ctx: Ctx,
  sandboxId: string,
  program: Program & { tag?: string | undefined },
): Promise<StartedProcess> {
  const link = runningSandbox(ctx, sandboxId);
  const { tag } = program;
  return refusingDirectory(link.processes.start({ ...asRequest(program), ...(tag && { tag }) }));
}
