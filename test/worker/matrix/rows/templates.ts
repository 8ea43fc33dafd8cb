import type { Row } from "../rows.ts";

const NAMED = { ids: { name: "template" } } as const;

export const templates: Record<string, Row> = {
  listSnapshots: { profile: "read+key" },
  // Nothing runs in these tests.
  createSnapshot: { profile: "write+key", bodyIds: { sandbox_id: "sandbox" }, body: {}, pass: [409] },
  deleteSnapshot: { profile: "write+key", ...NAMED },
  adminCreateSnapshotFromCapsule: {
    ...{ profile: "admin", ids: { id: "sandbox" }, body: { name: "taken" }, pass: [409], foreign: 409, missing: 404 },
  },
  adminListTemplates: { profile: "admin" },
  adminDeleteTemplate: { profile: "admin", ...NAMED, foreign: 204, missing: 404 },
};
