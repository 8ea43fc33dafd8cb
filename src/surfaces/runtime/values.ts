import { z } from "zod";
import { iso } from "#kernel/time";

/** Shapes that several resources of this contract share (its appendix B). */
export const Timestamp = z.iso.datetime().meta({ id: "Timestamp" });
export const JsonObject = z.record(z.string(), z.unknown()).meta({ id: "JsonObject" });
export const NonEmpty = z.string().min(1);
export const Id = z.string();

/** An optional field of this contract is left out, never null. */
export const orAbsent = <T>(value: T | null): T | undefined => value ?? undefined;
export const isoOrAbsent = (ms: number | null): string | undefined => (ms === null ? undefined : iso(ms));

export const pageOf = <T extends z.ZodType>(item: T, name: string) =>
  z.object({ items: z.array(item), nextCursor: z.string().optional() }).meta({ id: name });
