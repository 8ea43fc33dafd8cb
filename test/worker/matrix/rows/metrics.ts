import type { Row } from "../rows.ts";

export const metrics: Record<string, Row> = {
  getCapsuleStats: { profile: "read+key" },
  getCapsuleUsage: { profile: "read+key" },
  // The seed's sandbox never ran.
  getCapsuleMetrics: { profile: "read+key", ids: { id: "sandbox" }, pass: [404] },
  adminGetCapsuleMetrics: { profile: "admin", ids: { id: "sandbox" }, pass: [404], tellsApart: true },
};
