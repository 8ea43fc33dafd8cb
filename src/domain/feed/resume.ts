/** First and last number that a log has stored; null while it has nothing. */
export type Bounds = { oldest: number; newest: number } | null;

/** What a reader that has seen everything up to `after` gets next. */
export type Resume =
  /** Stored events from `from` on, then live ones. */
  | { type: "replay"; from: number }
  /** Nothing stored is missing: only events numbered higher than `after`, as they happen. */
  | { type: "live" }
  /** Events it has not seen are gone: everything from `from`, the oldest one kept. */
  | { type: "reset"; from: number };

/**
 * Decides how a stream goes on. `after` is the last number seen, -1 for none. A number beyond the
 * log waits for the log to pass it (runtime contract, section 19).
 */
export function resume(after: number, log: Bounds): Resume {
  if (!log || after >= log.newest) return { type: "live" };
  if (after + 1 < log.oldest) return { type: "reset", from: log.oldest };
  return { type: "replay", from: after + 1 };
}
