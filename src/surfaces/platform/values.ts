import { z } from "zod";
import type { RateLimit } from "#http/rate-limit";
import { type IdKind, isId } from "#kernel/id";
import { MINUTE } from "#kernel/time";

/** An id whose shape is checked: a wrong one is 400 where the contract has no 204 or 404 for what is unknown (R18). */
export const idOf = (kind: IdKind) => z.string().refine((id) => isId(kind, id), `not the id of a ${kind}`);

/** What tells whether an e-mail has an account is counted together, or it would list them all (platform R114). */
export const USER_LOOKUP: RateLimit = {
  name: "user-lookup",
  perAddress: { quota: 60, windowMs: MINUTE },
  perSubject: { quota: 60, windowMs: MINUTE },
};
