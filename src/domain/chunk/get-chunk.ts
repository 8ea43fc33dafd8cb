import { transferOf } from "#domain/chunk/transfer-of";
import type { Ctx } from "#domain/context";
import { Fault } from "#kernel/fault";

/** A chunk of the manifest that a token is for, or the manifest itself, as it is stored; `template_not_found` else. */
export async function getChunk(
  ctx: Ctx,
  token: string,
  hash: string,
): Promise<{ body: ReadableStream<Uint8Array>; bytes: number }> {
  const { teamId, root } = await transferOf(ctx, token, "get");
  const object = await ctx.chunks.store(teamId).objectOf(root, hash);
  const found = object === undefined ? undefined : await ctx.chunks.objects.get(object);
  if (!found) throw new Fault("template_not_found", "there is no such chunk");
  return found;
}
