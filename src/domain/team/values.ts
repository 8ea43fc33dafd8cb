import { randomHex } from "#kernel/digest";

/** A new team's slug: twelve hex digits as `xxxxxx-xxxxxx` (platform R121). */
export const newSlug = (): string => `${randomHex(3)}-${randomHex(3)}`;
