import type { AgentOptions } from "#test/node/agent";

type Way<Name extends string> = [name: Name, options: AgentOptions];

const BY_ROOT: Way<"in bubblewrap"> = ["in bubblewrap", {}];
const BY_OTHERS: Way<"in bubblewrap, started by an ordinary user"> = [
  "in bubblewrap, started by an ordinary user",
  { ordinaryUser: true },
];
const PLAIN: Way<"without isolation"> = ["without isolation", { args: ["--insecure-no-isolation"] }];

/** Every way an agent runs sandboxes, for `describe.each`. */
export const EVERY_WAY = [BY_ROOT, BY_OTHERS, PLAIN];

/** With isolation and without, for what does not depend on who has started the agent. */
export const ISOLATED_AND_PLAIN = [BY_ROOT, PLAIN];

/** Whoever has started the agent, for what isolation alone gives. */
export const ISOLATED_WAYS = [BY_ROOT, BY_OTHERS];
