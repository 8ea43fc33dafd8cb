import type { Transfer } from "#domain/chunk/ports";
import { type Ctx, demand } from "#domain/context";
import { Fault, unwrap } from "#kernel/fault";

/** The transfer whose token a request carries; its act must be the wanted one. */
export async function transferOf<A extends Transfer["act"]>(
  ctx: Ctx,
  token: string,
  act: A,
): Promise<Extract<Transfer, { act: A }>> {
  demand(ctx.actor, "host:report");
  const transfer = unwrap(await ctx.chunks.readToken(token));
  if (transfer.act !== act) throw new Fault("unauthenticated", "the token is for something else");
  return transfer as Extract<Transfer, { act: A }>;
}
