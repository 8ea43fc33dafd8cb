import { z } from "zod";

/** An event as a log's feed carries it. `data` is JSON text: it is stored, sent and shown unparsed. */
export const FeedEvent = z.object({
  /** Its number in the log; null for one that is only told to live readers and never stored. */
  seq: z.int().nonnegative().nullable(),
  type: z.string(),
  createdAt: z.int(),
  data: z.string(),
});
export type FeedEvent = z.infer<typeof FeedEvent>;

/**
 * Version 1 of the socket between a stream's holder (a Worker) and the object that has the log.
 *
 * The holder opens it with where its reader stands, and gets pages of the log. While `live` is false it asks for the
 * next page with `more` once its reader has taken the last one, so a slow reader costs no memory; from the first `live`
 * frame on, new events are pushed as they happen.
 */
export const feedFrame = <E extends z.ZodType>(event: E) =>
  z.object({
    v: z.literal(1),
    live: z.boolean(),
    events: z.array(event),
    /** Where the reader stands once it has these events. */
    after: z.int().min(-1).optional(),
    /** Name of the log, where a log has one: numbers of another log mean nothing. */
    log: z.string().optional(),
    /** Why the reader does not go on where it stood, but gets everything that is kept. */
    reset: z.string().optional(),
  });
export type FeedFrame<E> = {
  v: 1;
  live: boolean;
  events: E[];
  after?: number | undefined;
  log?: string | undefined;
  reset?: string | undefined;
};

export const FeedRequest = z.object({ v: z.literal(1), type: z.literal("more"), after: z.int().min(-1) });
export type FeedRequest = z.infer<typeof FeedRequest>;

/** Events in one page of a replay. */
export const FEED_PAGE = 500;
