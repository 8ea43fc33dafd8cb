import { Fault } from "#kernel/fault";

export const ROLES = ["owner", "admin", "member", "viewer"] as const;
export type Role = (typeof ROLES)[number];

export const PERMISSIONS = [
  "account:read",
  "account:write",
  "team:read",
  "team:write",
  "team:delete",
  "key:read",
  "key:write",
  "channel:read",
  "channel:write",
  "event:read",
  "audit:read",
  "workspace:read",
  "workspace:write",
  "sandbox:read",
  "sandbox:write",
  "template:read",
  "template:write",
  "session:read",
  "session:write",
  "host:read",
  "host:write",
  "host:report",
  "platform:admin",
  "platform:setup",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Whoever makes a request, after authentication. `teamId` is the tenant of everything the request may touch. */
export type Actor = {
  kind: "user" | "api_key" | "host" | "system" | "anonymous";
  /** Id of the principal: a user, an API key, a host; "anonymous" and "system" have no row. */
  id: string;
  /** What people call the principal: a user's name, a key's name. */
  name: string;
  /** Empty for a user who is in no team, or whose team was deleted. */
  teamId: string;
  userId: string | null;
  role: Role | null;
  platformAdmin: boolean;
  /** What was presented, for the audit log; never the secret itself. */
  credentialId: string | null;
  /** Name of the object that knows the credential; empty where there is none. */
  principal: string;
  /** How contracts with a caller context name the caller, for example `user:usr_…`. */
  subject: string;
};

/** What every user may ask for, whatever the team; which hosts are theirs is the verbs' to say. */
const OWN_ACCOUNT: readonly Permission[] = ["account:read", "account:write", "host:read", "host:write"];

const READ: readonly Permission[] = [
  "team:read",
  "key:read",
  "channel:read",
  "event:read",
  "audit:read",
  "workspace:read",
  "sandbox:read",
  "template:read",
  "session:read",
];
const WRITE: readonly Permission[] = [
  "key:write",
  "channel:write",
  "workspace:write",
  "sandbox:write",
  "template:write",
  "session:write",
];
const MANAGE: readonly Permission[] = ["team:write"];

/** What each role of a team may do. */
export const ROLE_PERMISSIONS: Record<Role, readonly Permission[]> = {
  viewer: READ,
  member: [...READ, ...WRITE],
  admin: [...READ, ...WRITE, ...MANAGE],
  owner: [...READ, ...WRITE, ...MANAGE, "team:delete"],
};

export function allows(actor: Actor, permission: Permission): boolean {
  if (actor.kind === "host") return permission === "host:report";
  if (actor.kind === "system") return true;
  if (permission === "platform:admin") return actor.kind === "user" && actor.platformAdmin;
  if (OWN_ACCOUNT.includes(permission)) return actor.kind === "user";
  return actor.role !== null && ROLE_PERMISSIONS[actor.role].includes(permission);
}

/**
 * First line of every verb: throws `forbidden` unless the actor holds the permission, and `no_team` when that is because
 * the user has no team at the moment.
 */
export function demand(actor: Actor, permission: Permission): void {
  if (allows(actor, permission)) return;
  if (actor.kind === "user" && actor.role === null && ROLE_PERMISSIONS.owner.includes(permission)) {
    throw new Fault("no_team", "no team is active; switch to one first");
  }
  throw new Fault("forbidden", `missing permission ${permission}`);
}

const BLANK = { teamId: "", userId: null, role: null, credentialId: null, principal: "" } as const;

/** Who acts in scheduled work and set-up, and in what objects do by themselves: nobody's user, every permission. */
export const systemActor = (id = "system", teamId = ""): Actor => ({
  ...BLANK,
  kind: "system",
  id,
  name: "system",
  teamId,
  platformAdmin: id !== "system",
  principal: `system:${id}`,
  subject: `system:${id}`,
});

/** Who acts in a public operation. */
export const NOBODY: Actor = {
  ...BLANK,
  kind: "anonymous",
  id: "anonymous",
  name: "anonymous",
  platformAdmin: false,
  subject: "anonymous",
};
