import type { Ctx } from "#domain/context";
import { runningSandbox } from "#domain/process/running-sandbox";
import type { KillSignal } from "#protocol/supervisor";

/** Sends a signal to the whole tree of a process, named by its id or its tag. Throws `process_not_found`. */
export async function killProcess(ctx: Ctx, sandboxId: string, selector: string, signal: KillSignal): Promise<void> {
  await runningSandbox(ctx, sandboxId).processes.kill(selector, signal);
}
