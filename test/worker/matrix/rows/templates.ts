import type { Row } from "../rows.ts";

const NAMED = { ids: { name: "template" } } as const;

export const templates: Record<string, Row> = {
  listSnapshots: { profile: "read+key" },
  deleteSnapshot: { profile: "write+key", ...NAMED },
  adminListTemplates: { profile: "admin" },
  adminDeleteTemplate: { profile: "admin", ...NAMED, foreign: 204, missing: 404 },
};
