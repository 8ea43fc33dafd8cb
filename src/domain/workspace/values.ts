import { ID_PREFIXES, isId } from "#kernel/id";

/** Names of the built-in template. */
export const BUILT_IN_RUNTIMES: readonly string[] = ["base", "minimal"];
export const EXECUTION_POLICIES = ["local", "container", "remote_runner"] as const;
export const WORKSPACE_STATUSES = ["active", "archived", "disabled"] as const;

/** Ids that callers choose: what may stand in a path segment without escaping. */
export const CHOSEN_WORKSPACE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

const SEPARATOR = "~";

/**
 * The stored id of the workspace that a team calls `shown`. An id that a caller chose belongs to the team that chose
 * it: another team may choose the same, and neither learns of the other. Ids made here are stored as they are.
 */
export function workspaceKey(teamId: string, shown: string): string {
  if (isId("workspace", shown)) return shown;
  return `${shown}${SEPARATOR}${teamId.slice(ID_PREFIXES.team.length + 1)}`;
}

/** The id of a workspace as its team knows it. */
export function shownWorkspaceId(key: string): string {
  const end = key.indexOf(SEPARATOR);
  return end < 0 ? key : key.slice(0, end);
}
