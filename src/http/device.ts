import type { Device } from "#domain/principal/ports";
import type { RawRequest } from "#http/operation";

const MAX_USER_AGENT = 300;

/** Where a session is begun, as its owner will see it listed. */
export const deviceOf = (raw: Pick<RawRequest, "address" | "header">): Device => ({
  userAgent: (raw.header("user-agent") ?? "").slice(0, MAX_USER_AGENT),
  address: raw.address,
});
