import type { Principal } from "#test/worker/seed";

/** What an operation answers a caller: 401, 403 or 404, `pass` for one who may, `foreign` for whom it does not exist. */
export type Verdict = 401 | 403 | 404 | "pass" | "foreign";

type Role = "viewer" | "member" | "admin" | "owner";
const EVERYONE: readonly Role[] = ["viewer", "member", "admin", "owner"];

/** Who may use an operation: roles of the team the thing belongs to, and whether a team's key may too. */
const TEAM_PROFILES = {
  read: { roles: EVERYONE, key: false },
  write: { roles: ["member", "admin", "owner"], key: false },
  manage: { roles: ["admin", "owner"], key: false },
  "owner-only": { roles: ["owner"], key: false },
  "read+key": { roles: EVERYONE, key: true },
  "write+key": { roles: ["member", "admin", "owner"], key: true },
} as const satisfies Record<string, { roles: readonly Role[]; key: boolean }>;

/**
 * Besides those of teams: `public` needs nothing, `account` any live session, `about-team` any session of somebody to
 * whom the thing exists, `about-team-managed` the same for owners and administrators, `admin` the platform's flag,
 * `host` a host's own token, `setup` the set-up token, `transfer` the
 * token of one transfer.
 */
export type Profile =
  | keyof typeof TEAM_PROFILES
  | "public"
  | "account"
  | "about-team"
  | "about-team-managed"
  | "admin"
  | "host"
  | "setup"
  | "transfer";

/** Nobody, or nobody any more. */
const DEAD: ReadonlySet<Principal> = new Set<Principal>([
  ...(["none", "garbage session", "garbage key", "garbage host token", "expired session", "revoked session"] as const),
  ...(["revoked key", "two session cookies", "deactivated user", "host refresh token"] as const),
]);
const FORGED: ReadonlySet<Principal> = new Set<Principal>(["no csrf header", "foreign origin"]);
const OUTSIDERS: ReadonlySet<Principal> = new Set<Principal>([
  ...(["other team's owner", "former member", "user of a deleted team", "platform admin"] as const),
]);
const TEAMLESS: ReadonlySet<Principal> = new Set<Principal>(["former member", "user of a deleted team"]);

/** What a caller is answered who asks for things of the seed's team. `named` is whether the request names any. */
export function verdictOf(profile: Profile, principal: Principal, safe: boolean, named: boolean): Verdict {
  if (profile === "setup") return 404;
  if (profile === "transfer") return 401;
  if (profile === "public") return principal === "foreign origin" && !safe ? 403 : "pass";
  if (DEAD.has(principal)) return 401;
  if (principal === "host token") return profile === "host" ? "pass" : 401;
  if (profile === "host") return 401;
  const team = profile in TEAM_PROFILES ? TEAM_PROFILES[profile as keyof typeof TEAM_PROFILES] : undefined;
  if (principal === "key" && !team?.key) return 401;
  if (FORGED.has(principal)) return safe ? verdictOf(profile, "owner", safe, named) : 403;
  if (profile === "admin") return principal === "platform admin" ? "pass" : 403;
  if (OUTSIDERS.has(principal)) {
    if (team && TEAMLESS.has(principal)) return 403;
    return named ? "foreign" : "pass";
  }
  if (profile === "account" || profile === "about-team") return "pass";
  const role = principal === "key" ? "owner" : (principal as Role);
  const roles: readonly Role[] = team?.roles ?? ["admin", "owner"];
  return roles.includes(role) ? "pass" : 403;
}
