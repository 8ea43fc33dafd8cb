import { type Kind, nextAddress, type Principal } from "#test/worker/seed";
import type { Profile, Verdict } from "./profiles.ts";
import { builds } from "./rows/builds.ts";
import { capsules } from "./rows/capsules.ts";
import { files } from "./rows/files.ts";
import { metrics } from "./rows/metrics.ts";
import { processes } from "./rows/processes.ts";
import { templates } from "./rows/templates.ts";

/**
 * The authorization matrix: one row per operation of every served document, by `surface.operationId`. An operation
 * without a row fails the test, and so does a row without an operation.
 *
 * To add one: pick the profile (profiles.ts says who passes it), name the parameters that are ids and what they are ids
 * of, and give a body or query that the operation takes. `pass` lists the statuses of a caller who may, where they are
 * not just the operation's success, and `foreign` what callers are told of things that are not theirs; a thing that is
 * missing must be answered exactly alike. A new kind of thing goes to test/support/worker/seed.ts.
 */
export type Row = {
  profile: Profile;
  /** Parameters of the path that are ids. */
  ids?: Record<string, Kind>;
  /** Fields of the body that are ids; they are added to the body. */
  bodyIds?: Record<string, Kind>;
  /** A function makes a body that no other request has. */
  body?: unknown;
  query?: string;
  /** What other parameters of the path are. */
  params?: Record<string, string>;
  pass?: readonly number[];
  /** Status for a thing of another team, and for a missing one; 404 by default. It is about the first id alone. */
  foreign?: number;
  /** Status for a missing thing where the contract itself tells it from a foreign one. */
  missing?: number;
  /** Status for an id of another kind of thing; by default the one of a missing thing. */
  wrongKind?: number;
  /** True where the caller may know both things, and the same status has another reason for each. */
  tellsApart?: boolean;
  /** Callers for whom it is otherwise. */
  except?: Partial<Record<Principal, Verdict>>;
};

/** No host is there in these tests, so what needs a running sandbox passes and then finds none. */
const NO_HOST = [503];

const inSandbox = (profile: Profile, more: Partial<Row> = {}): Row => ({
  profile,
  ids: { sandboxId: "sandbox" },
  pass: NO_HOST,
  ...more,
});

const runtime: Record<string, Row> = {
  getHealthReport: { profile: "public" },
  getReadinessReport: { profile: "public" },
  listWorkspaces: { profile: "read+key" },
  createWorkspace: { profile: "write+key", body: { name: "n", runtime: "base" } },
  getWorkspace: { profile: "read+key", ids: { workspaceId: "workspace" } },
  deleteWorkspace: { profile: "write+key", ids: { workspaceId: "workspace" }, foreign: 204 },
  ensureSandboxForWorkspace: { profile: "write+key", bodyIds: { workspaceId: "workspace" }, pass: [200, 201] },
  getSandbox: inSandbox("read+key", { pass: [200] }),
  listSandboxEntries: inSandbox("read+key"),
  getSandboxFileStat: inSandbox("read+key", { query: "path=a.txt" }),
  deleteSandboxEntry: inSandbox("write+key", { query: "path=a.txt" }),
  moveSandboxEntry: inSandbox("write+key", { body: { sourcePath: "a", targetPath: "b" } }),
  createSandboxDirectory: inSandbox("write+key", { body: { path: "d" } }),
  getSandboxFileContent: inSandbox("read+key", { query: "path=a.txt" }),
  putSandboxFileContent: inSandbox("write+key", { body: { path: "a", content: "c" } }),
  uploadSandboxFile: inSandbox("write+key", { query: "path=a.txt" }),
  downloadSandboxFile: inSandbox("read+key", { query: "path=a.txt" }),
  runSandboxForegroundCommand: inSandbox("write+key", { body: { command: "true" } }),
  listWorkspaceSessions: { profile: "read+key", ids: { workspaceId: "workspace" } },
  createSession: { profile: "write+key", ids: { workspaceId: "workspace" }, body: {} },
  getSession: { profile: "read+key", ids: { sessionId: "session" } },
  createSessionMessage: { profile: "write+key", ids: { sessionId: "session" }, body: { content: "hi" } },
  listSessionMessages: { profile: "read+key", ids: { sessionId: "session" } },
  getSessionMessage: { profile: "read+key", ids: { sessionId: "session", messageId: "message" } },
  listSessionQueue: { profile: "read+key", ids: { sessionId: "session" } },
  getRun: { profile: "read+key", ids: { runId: "run" } },
  listRunSteps: { profile: "read+key", ids: { runId: "run" } },
  cancelRun: { profile: "write+key", ids: { runId: "run" } },
  // The run is not queued any more, or never was.
  guideQueuedRun: { profile: "write+key", ids: { runId: "run" }, pass: [200, 202, 404, 409] },
  streamSessionEvents: { profile: "read+key", ids: { sessionId: "session" } },
};

const TEAM = { id: "team" } as const;
const HOST = { id: "host" } as const;
/** Somebody else's team is forbidden, as any is that is not the active one; one that is not there is missing (R123). */
const team = (profile: Profile, more: Partial<Row> = {}): Row => ({
  profile,
  ids: TEAM,
  foreign: 403,
  missing: 404,
  wrongKind: 400,
  ...more,
});
/** A platform administrator sees and changes every host (R310, R328). */
const host = (profile: Profile, more: Partial<Row> = {}): Row => ({
  profile,
  ids: HOST,
  except: { "platform admin": "pass" },
  ...more,
});
/** Limits by e-mail must not stand in the way. */
const someEmail = () => `nobody-${nextAddress()}@example.test`;

const platform: Record<string, Row> = {
  health: { profile: "public" },
  signup: {
    profile: "public",
    body: { email: "new@example.test", password: "long enough", name: "N" },
    pass: [201, 409],
  },
  activate: { profile: "public", body: { token: "nonsense" }, pass: [400] },
  login: { profile: "public", body: () => ({ email: someEmail(), password: "wrong" }), pass: [401] },
  requestPasswordReset: { profile: "public", body: () => ({ email: someEmail() }) },
  confirmPasswordReset: { profile: "public", body: { token: "nonsense", new_password: "long enough" }, pass: [400] },
  oauthRedirect: { profile: "public", params: { provider: "github" }, pass: [302, 404] },
  oauthCallback: { profile: "public", params: { provider: "github" }, pass: [302, 404] },
  logout: { profile: "account" },
  logoutAll: { profile: "account" },
  switchTeam: { profile: "account", bodyIds: { team_id: "team" }, foreign: 403, missing: 404 }, // R58
  listSessions: { profile: "account" },
  revokeSession: { profile: "account", ids: { id: "login" }, foreign: 204 },
  getMe: { profile: "account" },
  updateName: { profile: "account", body: { name: "New name" } },
  deleteAccount: { profile: "account", body: { confirmation: "no" }, pass: [400] },
  changePassword: {
    profile: "account",
    body: { current_password: "wrong one", new_password: "long enough", confirm_password: "long enough" },
    pass: [204, 400, 401],
  },
  connectProvider: { profile: "account", params: { provider: "github" }, pass: [302, 404] },
  disconnectProvider: { profile: "account", params: { provider: "github" }, pass: [204, 400, 404] },
  createAPIKey: { profile: "write", body: { name: "k" } },
  listAPIKeys: { profile: "read" },
  deleteAPIKey: { profile: "write", ids: { id: "apiKey" }, foreign: 204 },
  listTeams: { profile: "account" },
  createTeam: { profile: "account", body: { name: "Another team" } },
  getTeam: team("about-team", { wrongKind: 404 }),
  renameTeam: team("manage", { body: { name: "New name" } }),
  deleteTeam: team("owner-only"),
  leaveTeam: team("about-team", { except: { owner: 403 } }), // R138
  listTeamMembers: team("about-team"),
  addTeamMember: team("manage", { body: { email: "nobody@example.test" }, pass: [404] }),
  updateMemberRole: team("manage", { ids: { id: "team", uid: "user" }, body: { role: "admin" } }),
  removeTeamMember: team("manage", { ids: { id: "team", uid: "user" } }),
  searchUsers: { profile: "account", query: "email=nobody@example.test" },
  listAuditLogs: { profile: "read" },
  createHost: host("about-team-managed", {
    ids: {},
    bodyIds: { team_id: "team" },
    body: { type: "byoc" },
    foreign: 403,
  }),
  listHosts: { profile: "account" },
  getHost: host("about-team"),
  deleteHost: host("about-team-managed", { foreign: 403 }),
  getHostDeletePreview: host("about-team-managed"),
  regenerateHostToken: host("about-team-managed", { foreign: 403, pass: [409] }),
  listHostTags: host("about-team"),
  addHostTag: host("about-team-managed", { body: { tag: "t" } }),
  removeHostTag: host("about-team-managed", { params: { tag: "t" } }),
  registerHost: { profile: "public", body: { token: "nonsense", address: "agent.example.com:443" }, pass: [401] },
  refreshHostToken: { profile: "public", body: { refresh_token: "nonsense" }, pass: [401] },
  hostHeartbeat: { profile: "host", ids: HOST, foreign: 403 },
  streamEvents: { profile: "read+key" },
};

const CHANNEL = { id: "channel" } as const;
const WEBHOOK = { url: "https://hooks.example.com/x" };

const channels: Record<string, Row> = {
  createChannel: {
    profile: "write",
    body: { name: "made", provider: "webhook", config: WEBHOOK, events: ["host.up"] },
  },
  listChannels: { profile: "read" },
  // There is no network in these tests.
  testChannel: { profile: "write", body: { provider: "webhook", config: WEBHOOK }, pass: [400] },
  getChannel: { profile: "read", ids: CHANNEL },
  updateChannel: { profile: "write", ids: CHANNEL, body: { name: "renamed", events: ["host.down"] } },
  deleteChannel: { profile: "write", ids: CHANNEL, foreign: 204 },
  rotateChannelConfig: { profile: "write", ids: CHANNEL, body: { config: WEBHOOK } },
  listChannelDeliveries: { profile: "read", ids: CHANNEL },
  // Nothing was delivered yet.
  redeliverNotification: { profile: "write", ids: CHANNEL, params: { deliveryId: "dlv_x" }, pass: [404] },
};

/** To administrators of the platform no thing is foreign. */
const admin = (more: Partial<Row> = {}): Row => ({
  profile: "admin",
  foreign: 204,
  missing: 404,
  ...more,
});

const administration: Record<string, Row> = {
  adminListAuditLogs: { profile: "admin" },
  adminStreamEvents: { profile: "admin" },
  adminListTeams: { profile: "admin" },
  adminListUsers: { profile: "admin" },
  adminSetTeamBYOC: admin({ ids: TEAM, body: { byoc: true } }),
  adminDeleteTeam: admin({ ids: TEAM }),
  setUserAdmin: admin({ ids: { id: "user" }, body: { admin: true } }),
  adminSetUserActive: admin({ ids: { id: "user" }, body: { active: false } }),
};

const extras: Record<string, Row> = {
  // The deployment of these tests has no domain for it.
  createPreviewLink: { profile: "write+key", ids: { id: "sandbox" }, body: { port: 8080 }, pass: [503] },
};

const setup: Record<string, Row> = {
  createOwner: { profile: "setup", body: { email: "owner@example.test" } },
  inviteHost: { profile: "setup", body: {} },
  listMails: { profile: "setup" },
};

const HASH = { hash: "0".repeat(64) };

const chunks: Record<string, Row> = {
  listMissingChunks: { profile: "transfer", body: { hashes: [HASH.hash] } },
  putChunk: { profile: "transfer", params: HASH },
  getChunk: { profile: "transfer", params: HASH },
};

const named = (surface: string, rows: Record<string, Row>) =>
  Object.entries(rows).map(([id, row]): [string, Row] => [`${surface}.${id}`, row]);

export const rows: ReadonlyMap<string, Row> = new Map([
  ...named("runtime", runtime),
  ...named("platform", { ...platform, ...channels, ...administration }),
  ...named("platform", { ...capsules, ...processes, ...files, ...templates, ...metrics, ...builds }),
  ...named("extras", extras),
  ...named("setup", setup),
  ...named("chunks", chunks),
]);
