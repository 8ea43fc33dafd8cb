import type { ChunkPort } from "#domain/chunk/ports";
import { spaceOf } from "#domain/chunk/values";
import { chunkObjects } from "#platform/chunks/objects";
import { makeTransferTokens } from "#platform/chunks/tokens";

/** Chunks of templates: one object per team knows them, R2 keeps them. */
export const chunkPort = (env: Pick<Env, "CHUNKS" | "FILES" | "SIGNING_KEY">): ChunkPort => ({
  store: (teamId) => env.CHUNKS.getByName(spaceOf(teamId)),
  objects: chunkObjects(env),
  ...makeTransferTokens(env),
});
