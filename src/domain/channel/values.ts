import { Fault } from "#kernel/fault";
import type { channels } from "#schema";

export const PROVIDERS = ["discord", "slack", "teams", "googlechat", "telegram", "matrix", "webhook"] as const;
export type Provider = (typeof PROVIDERS)[number];

export type ChannelRow = typeof channels.$inferSelect;
/** A channel as anybody is shown it: its config never leaves the domain (platform R348). */
export type Channel = Omit<ChannelRow, "config">;

export const MAX_CHANNELS = 50;
const MAX_NAME = 64;

const NAME = /^[a-z0-9][a-z0-9._-]*$/;

/**
 * A channel's name as it is stored: trimmed, in lower case, with dashes for spaces (platform R346). Undefined when the
 * result is no name: at most 64 letters, digits, dots, dashes and underscores, of which the first is a letter or digit.
 */
export function channelName(text: string): string | undefined {
  const name = text.trim().toLowerCase().replace(/\s/g, "-");
  return name.length <= MAX_NAME && NAME.test(name) ? name : undefined;
}

/** The stored form of a name; throws `invalid` when it has none. */
export function demandName(text: string): string {
  const name = channelName(text);
  if (name !== undefined) return name;
  throw new Fault("invalid", `a name has at most ${MAX_NAME} letters, digits, dots, dashes and underscores`);
}

export const withoutRepeats = (events: readonly string[]): string[] => [...new Set(events)];
