import type { Ctx } from "#domain/context";
import { runningSandbox } from "#domain/process/running-sandbox";
import type { ProcessInfo } from "#protocol/supervisor";

/** The processes of a sandbox that outlive their requests and still run. */
export async function listProcesses(ctx: Ctx, sandboxId: string): Promise<ProcessInfo[]> {
  return runningSandbox(ctx, sandboxId, "sandbox:read").processes.list();
}
