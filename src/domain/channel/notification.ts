import { iso } from "#kernel/time";

/** What a channel is told of. Every stored team event is one; `channel.test` is the other. */
export type ChannelEvent = {
  type: string;
  outcome?: "success" | "error";
  teamId: string | null;
  actor: { type: string; id: string; name: string };
  resource: { id: string; type: string };
  metadata: Record<string, string>;
  error?: string;
  at: number;
};

export type Notification = {
  /** A UUID that stays the same in every attempt, so that a receiver can tell a repeat. */
  deliveryId: string;
  event: ChannelEvent;
  teamName: string;
  /** When this attempt is made, in milliseconds. */
  sentAt: number;
};

export const TEST_EVENT = "channel.test";

/** What happened, and what it is called when it failed. */
const SUMMARIES: Record<string, [done: string, failed: string]> = {
  "capsule.create": ["Capsule created", "Capsule could not be created"],
  "capsule.pause": ["Capsule paused", "Capsule could not be paused"],
  "capsule.resume": ["Capsule resumed", "Capsule could not be resumed"],
  "capsule.destroy": ["Capsule destroyed", "Capsule could not be destroyed"],
  "template.snapshot.create": ["Snapshot created", "Snapshot could not be created"],
  "template.snapshot.delete": ["Snapshot deleted", "Snapshot could not be deleted"],
  "host.up": ["Host is up", "Host is up"],
  "host.down": ["Host is down", "Host is down"],
  [TEST_EVENT]: ["Test notification from Longshore", "Test notification from Longshore"],
};

export function summaryOf({ type, outcome }: ChannelEvent): string {
  const [done, failed] = SUMMARIES[type] ?? [type, type];
  return outcome === "error" ? failed : done;
}

/** What people read below the summary, as plain text. */
export function factsOf({ event, teamName }: Notification): [label: string, value: string][] {
  const { type, outcome, resource, actor, metadata, error, at } = event;
  const who = [actor.name, actor.id && `(${actor.type} ${actor.id})`].filter(Boolean).join(" ");
  return [
    ["Event", outcome ? `${type} (${outcome})` : type],
    ["Resource", `${resource.type} ${resource.id}`],
    ["Actor", who || actor.type],
    ["Team", teamName],
    ["Time", iso(at)],
    ...(metadata.reason ? [["Reason", metadata.reason] as [string, string]] : []),
    ...(error ? [["Error", error] as [string, string]] : []),
  ];
}

/** The body that a webhook is sent (platform section 15). */
export function eventBody({ type, teamId, actor, resource, metadata, outcome, error, at }: ChannelEvent): string {
  return JSON.stringify({
    event: type,
    ...(outcome && { outcome }),
    timestamp: iso(at),
    team_id: teamId,
    actor,
    resource,
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(error !== undefined && { error }),
  });
}
