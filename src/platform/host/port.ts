import type { HostPort } from "#domain/host/ports";
import { makeHostTokens } from "#platform/host/tokens";

/** Hosts as Durable Objects, and their tokens signed with `SIGNING_KEY`. */
export const makeHostPort = (env: Pick<Env, "HOST" | "SIGNING_KEY">): HostPort => ({
  host: (id) => env.HOST.getByName(id),
  tokens: makeHostTokens(env),
});
