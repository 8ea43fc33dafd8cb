import { z } from "zod";

/** `true|1|yes|on` and `false|0|no|off`; anything else is refused. Shown as a boolean in the document. */
export const queryBoolean = (fallback: boolean) =>
  z.stringbool().default(fallback).meta({ type: "boolean", default: fallback });

export const PageSize = z.coerce.number().int().min(1).max(200).default(50);

/** The page parameters of lists whose cursor is a decimal offset. */
export const OffsetQuery = z.object({
  pageSize: PageSize,
  cursor: z.string().max(200).optional(),
});
