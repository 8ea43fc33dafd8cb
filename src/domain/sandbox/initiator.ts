import type { Ctx } from "#domain/context";

/** Who asked for a change that an object completes later, as its audit entry and its event will name them. */
export type Initiator = Pick<Ctx["actor"], "kind" | "id" | "name" | "credentialId"> & { requestId: string };

export const initiatorOf = ({ actor, requestId }: Pick<Ctx, "actor" | "requestId">): Initiator => {
  const { kind, id, name, credentialId } = actor;
  return { kind, id, name, credentialId, requestId };
};
