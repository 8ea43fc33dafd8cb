import type { Row } from "../rows.ts";

/** The capsules of these tests do not run. */
const inCapsule = (profile: Row["profile"], body?: object): Row => ({
  ...{ profile, ids: { id: "sandbox" }, pass: [409] },
  ...(body && { body }),
});

const path = { path: "a.txt" };

export const files: Record<string, Row> = {
  uploadFile: inCapsule("write+key"),
  downloadFile: inCapsule("read+key", path),
  listDir: inCapsule("read+key", path),
  makeDir: inCapsule("write+key", path),
  removePath: inCapsule("write+key", path),
  streamUploadFile: inCapsule("write+key"),
  streamDownloadFile: inCapsule("read+key", path),
  adminUploadFile: { ...inCapsule("admin"), foreign: 409, missing: 404 },
  adminDownloadFile: { ...inCapsule("admin", path), foreign: 409, missing: 404 },
  adminListDir: { ...inCapsule("admin", path), foreign: 409, missing: 404 },
  adminMakeDir: { ...inCapsule("admin", path), foreign: 409, missing: 404 },
  adminRemovePath: { ...inCapsule("admin", path), foreign: 409, missing: 404 },
};
