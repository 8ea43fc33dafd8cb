import type { Bounds } from "#domain/feed/resume";

const LOG_NAME = "[0-9a-hjkmnp-tv-z]{6}";
const STREAM_ID = new RegExp(`^(${LOG_NAME})-(0|[1-9][0-9]{0,14})$`);

/** The id of an event in a stream: the log's name, and the event's number there. 0 stands before the first one. */
export const streamId = (log: string, seq: number): string => `${log}-${seq}`;

/** Where a reader begins: behind number `after`, or with everything that is kept, and then why. */
export type StreamStart = { after: number; reset?: string };

/**
 * Decides where a stream begins. Without an id it begins now; with one it goes on behind that event. An id that is not
 * of this log, was never given out, or names an event after which some are gone, gets everything that is kept. Pure.
 */
export function resumeStream(lastEventId: string | undefined, log: string, next: number, bounds: Bounds): StreamStart {
  const newest = next - 1;
  if (lastEventId === undefined) return { after: newest };
  const [, name, digits] = STREAM_ID.exec(lastEventId) ?? [];
  if (name === undefined) return { after: 0, reset: "the last event id is none of this server's" };
  if (name !== log) return { after: 0, reset: "the last event id is of another stream" };
  const after = Number(digits);
  if (after > newest) return { after: 0, reset: "the last event id was never given out" };
  if (after + 1 < (bounds?.oldest ?? next)) return { after: 0, reset: "events after the last event id are gone" };
  return { after };
}
