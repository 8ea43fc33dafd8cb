import { Fault } from "#kernel/fault";

export const ROLES = ["owner", "admin", "member", "viewer"] as const;
export type Role = (typeof ROLES)[number];

export const PERMISSIONS = [
  "workspace:read",
  "workspace:write",
  "sandbox:read",
  "sandbox:write",
  "session:read",
  "session:write",
  "host:report",
  "platform:setup",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Whoever makes a request, after authentication. `teamId` is the tenant of everything the request may touch. */
export type Actor = {
  kind: "user" | "api_key" | "host" | "system" | "anonymous";
  /** Id of the principal: a user, an API key, a host; "anonymous" and "system" have no row. */
  id: string;
  teamId: string;
  userId: string | null;
  role: Role | null;
  platformAdmin: boolean;
  /** What was presented, for the audit log; never the secret itself. */
  credentialId: string | null;
  /** How contracts with a caller context name the caller, for example `user:usr_…`. */
  subject: string;
};

const READ: readonly Permission[] = ["workspace:read", "sandbox:read", "session:read"];
const WRITE: readonly Permission[] = ["workspace:write", "sandbox:write", "session:write"];

/** What each role of a team may do. */
export const ROLE_PERMISSIONS: Record<Role, readonly Permission[]> = {
  viewer: READ,
  member: [...READ, ...WRITE],
  admin: [...READ, ...WRITE],
  owner: [...READ, ...WRITE],
};

export function allows(actor: Actor, permission: Permission): boolean {
  if (actor.kind === "host") return permission === "host:report";
  if (actor.kind === "system") return true;
  return actor.role !== null && ROLE_PERMISSIONS[actor.role].includes(permission);
}

/** First line of every verb: throws `forbidden` unless the actor holds the permission. */
export function demand(actor: Actor, permission: Permission): void {
  if (!allows(actor, permission)) throw new Fault("forbidden", `missing permission ${permission}`);
}
