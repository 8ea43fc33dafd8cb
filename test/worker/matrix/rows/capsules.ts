import type { Row } from "../rows.ts";

const CAPSULE = { id: "sandbox" } as const;

export const capsules: Record<string, Row> = {
  // No host is there in these tests.
  createCapsule: { profile: "write+key", body: {}, pass: [503] },
  listCapsules: { profile: "read+key" },
  getCapsule: { profile: "read+key", ids: CAPSULE },
  destroyCapsule: { profile: "write+key", ids: CAPSULE },
  // It was never started.
  pingCapsule: { profile: "write+key", ids: CAPSULE, pass: [409] },
  pauseCapsule: { profile: "write+key", ids: CAPSULE, pass: [409] },
  resumeCapsule: { profile: "write+key", ids: CAPSULE, pass: [409] },
};
