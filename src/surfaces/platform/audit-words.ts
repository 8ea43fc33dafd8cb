/**
 * This contract's words for what happened, where they differ from the log's own (section 17). A word that is not here is
 * shown as it is stored.
 */
const WORDS: Record<string, string> = {
  created: "create",
  updated: "update",
  deleted: "delete",
  destroyed: "destroy",
  paused: "pause",
  resumed: "resume",
  started: "start",
  stopped: "stop",
  revoked: "revoke",
  renamed: "rename",
  config_rotated: "rotate_config",
  added: "add",
  removed: "remove",
  left: "leave",
  role_updated: "role_update",
  lost: "marked_down",
  returned: "marked_up",
  activated: "activate",
  deactivated: "deactivate",
  admin_granted: "grant_admin",
  admin_revoked: "revoke_admin",
  byoc_set: "set_byoc",
  cancelled: "cancel",
  registered: "register",
  invited: "invite",
  logged_in: "login",
};

/** What a stored action is called here: `sandbox.created` is the action `create` of a `sandbox`. */
export function shownAction(action: string): string {
  const verb = action.slice(action.indexOf(".") + 1);
  return Object.hasOwn(WORDS, verb) ? (WORDS[verb] as string) : verb;
}

/** The stored words that are shown as one of the given. */
export function storedVerbs(shown: readonly string[]): string[] {
  const renamed = Object.entries(WORDS).flatMap(([verb, word]) => (shown.includes(word) ? [verb] : []));
  return [...new Set([...renamed, ...shown.filter((word) => !Object.hasOwn(WORDS, word))])];
}
