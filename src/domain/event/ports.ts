import type { TransientEvent } from "#protocol/team-feed";

/** The log of one team's events and its readers. */
export interface TeamHandle {
  /** Takes new rows of `team_events` up into the log. `upTo` names a row it may know already: then it does nothing. */
  nudge(upTo?: number): Promise<void>;
  /** Tells live readers, and nobody else. */
  tell(event: TransientEvent): Promise<void>;
  /**
   * Opens the feed of `protocol/team-feed` as a WebSocket: what came after the event that `lastEventId` names, or
   * without one nothing of the past.
   */
  openFeed(lastEventId: string | undefined): Promise<Response>;
}

/** Teams by their ids, and under `PLATFORM` the log of all teams. */
export type TeamPort = { team(id: string): TeamHandle };

/** Name of the object that has the events of all teams, and those of the platform. */
export const PLATFORM = "platform";
