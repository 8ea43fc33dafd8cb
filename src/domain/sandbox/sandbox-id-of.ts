import type { Ctx } from "#domain/context";
import { getSandbox } from "#domain/sandbox/get-sandbox";
import { isId } from "#kernel/id";

/**
 * The id of a sandbox that is named by its own id or by its workspace's. An id of its own is taken as it is and asks
 * nobody: the sandbox's object refuses another team with `sandbox_not_found`.
 */
export const sandboxIdOf = async (ctx: Ctx, id: string): Promise<string> =>
  isId("sandbox", id) ? id : (await getSandbox(ctx, id)).id;
