const LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LEVELS)[number];
type Fields = Record<string, unknown>;
export type Log = Record<LogLevel, (message: string, fields?: Fields) => void> & { with(fields: Fields): Log };

/** One JSON object per line on the console. Fields must never hold a secret: nothing is redacted here. */
export function createLog(level: string, base: Fields = {}): Log {
  const least = Math.max(0, LEVELS.indexOf(level as LogLevel));
  const write = (at: LogLevel) => (message: string, fields?: Fields) => {
    if (LEVELS.indexOf(at) < least) return;
    console[at](JSON.stringify({ time: new Date().toISOString(), level: at, message, ...base, ...plain(fields) }));
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    with: (fields) => createLog(level, { ...base, ...fields }),
  };
}

/** Errors do not survive JSON on their own. */
function plain(fields: Fields = {}): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) =>
      value instanceof Error ? [key, { name: value.name, message: value.message, stack: value.stack }] : [key, value],
    ),
  );
}
