import { type Ctx, demand } from "#domain/context";
import { beginFlow, type Departure } from "#domain/oauth/begin-flow";
import { Fault } from "#kernel/fault";

/** Begins to link a provider to the account of the caller, whose session must still be alive at the end. */
export function connectProvider(ctx: Ctx, input: { provider: string; origin: string }): Promise<Departure> {
  demand(ctx.actor, "account:write");
  const { userId, credentialId: sessionId, name } = ctx.actor;
  if (userId === null || sessionId === null)
    throw new Fault("forbidden", "only a user in a session can link a provider");
  return beginFlow(ctx, { ...input, knownOnly: false, link: { userId, sessionId, name } });
}
