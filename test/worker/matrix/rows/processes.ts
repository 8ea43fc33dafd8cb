import type { Row } from "../rows.ts";

/** The capsule of the seed was never started, so whoever may use what runs in it is told so. */
const NOT_RUNNING = { ids: { id: "sandbox" }, pass: [409] } as const;
const EXEC = { body: { cmd: "true" } };
const PROCESS = { params: { selector: "proc-1" } };

/** A page of another origin may not open a socket in its visitor's name (R220). */
const SOCKET = { ...NOT_RUNNING, except: { "foreign origin": 403 } } as const;

/** To administrators of the platform no capsule is foreign. */
const admin: Row = { profile: "admin", ...NOT_RUNNING, foreign: 409, missing: 404 };

export const processes: Record<string, Row> = {
  execCommand: { profile: "write+key", ...NOT_RUNNING, ...EXEC },
  listProcesses: { profile: "read+key", ...NOT_RUNNING },
  killProcess: { profile: "write+key", ...NOT_RUNNING, ...PROCESS },
  execStream: { profile: "write+key", ...SOCKET },
  connectProcess: { profile: "read+key", ...SOCKET, ...PROCESS },
  ptySession: { profile: "write+key", ...SOCKET },
  adminExecCommand: { ...admin, ...EXEC },
  adminListProcesses: admin,
  adminKillProcess: { ...admin, ...PROCESS },
  adminExecStream: { ...admin, ...SOCKET },
  adminConnectProcess: { ...admin, ...SOCKET, ...PROCESS },
  adminPtySession: { ...admin, ...SOCKET },
};
