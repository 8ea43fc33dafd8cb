import type { Row } from "../rows.ts";

const NAMED = { params: { id: "bld_none" }, pass: [404] } as const;

/** No host is there in these tests, so a build is queued and then fails. */
export const builds: Record<string, Row> = {
  adminCreateBuild: { profile: "admin", body: { name: "", recipe: ["RUN true"] }, pass: [400] },
  adminListBuilds: { profile: "admin" },
  adminGetBuild: { profile: "admin", ...NAMED },
  adminCancelBuild: { profile: "admin", ...NAMED },
  adminStreamBuildLog: { profile: "admin", ...NAMED },
};
