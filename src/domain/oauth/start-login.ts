import type { Ctx } from "#domain/context";
import { beginFlow, type Departure } from "#domain/oauth/begin-flow";

/** Begins a login at a provider. Public. With `knownOnly` a person who has no account gets none (decision A29). */
export function startLogin(
  ctx: Ctx,
  input: { provider: string; origin: string; knownOnly: boolean },
): Promise<Departure> {
  return beginFlow(ctx, { ...input, link: null });
}
