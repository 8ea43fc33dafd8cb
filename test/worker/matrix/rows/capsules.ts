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
  // Its team has no hosts here.
  adminCreateCapsule: {
    profile: "admin",
    bodyIds: { team_id: "team" },
    body: {},
    pass: [503],
    foreign: 503,
    missing: 404,
  },
  adminListCapsules: { profile: "admin" },
  adminGetCapsule: { profile: "admin", ids: CAPSULE, foreign: 200, missing: 404 },
  adminDestroyCapsule: { profile: "admin", ids: CAPSULE, foreign: 204, missing: 404 },
  // The capsule of the seed was never placed on a host.
  sandboxEventCallback: {
    profile: "host",
    bodyIds: { sandbox_id: "sandbox" },
    body: { event: "sandbox.stopped", host_id: "host_00000000000000000000" },
    pass: [403],
    foreign: 403,
  },
  resumeCapsule: { profile: "write+key", ids: CAPSULE, pass: [409] },
};
