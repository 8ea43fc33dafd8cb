/** `workspace.created`: a concept and what happened to it, in the past tense. */
export type AuditAction = `${string}.${string}`;

/** Changes that only owners and administrators of the team may read about (platform contract, section 17). */
const ADMIN_SUBJECTS = new Set(["member", "user", "host", "team", "template", "build"]);
const FOR_EVERYONE = new Set<AuditAction>(["team.renamed", "host.lost", "host.returned"]);

/** Who of a team may read an entry: everyone, or owners and administrators. */
export const scopeOf = (action: AuditAction): "team" | "admin" =>
  ADMIN_SUBJECTS.has(subjectOf(action)) && !FOR_EVERYONE.has(action) ? "admin" : "team";

export const subjectOf = (action: AuditAction): string => action.slice(0, action.indexOf("."));
