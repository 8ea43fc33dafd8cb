import { z } from "zod";
import { randomHex } from "#kernel/digest";

/** A new team's slug: twelve hex digits as `xxxxxx-xxxxxx` (platform R121). */
export const newSlug = (): string => `${randomHex(3)}-${randomHex(3)}`;

/** What a team may be called (platform R120 with A2); spaces around it are dropped. */
export const TeamName = z
  .string()
  .regex(/^[A-Za-z0-9 _\-@']{1,128}$/, "1 to 128 letters, digits, spaces and _ - @ '")
  .overwrite((name) => name.trim())
  .min(1);

export const MEMBER_ROLES = ["admin", "member"] as const;
/** The roles that can be given; the owner is the creator and stays it. */
export type MemberRole = (typeof MEMBER_ROLES)[number];
