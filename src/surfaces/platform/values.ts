import { z } from "zod";
import { type IdKind, isId } from "#kernel/id";

/** An id whose shape is checked: a wrong one is 400 where the contract has no 204 or 404 for what is unknown (R18). */
export const idOf = (kind: IdKind) => z.string().refine((id) => isId(kind, id), `not the id of a ${kind}`);
