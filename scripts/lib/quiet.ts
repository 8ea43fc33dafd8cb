/** Keeps the tools below from phoning home, asking questions or writing logs of their own. */
export const QUIET_ENV = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_WRITE_LOGS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  X_LOCAL_EXPLORER: "false",
  X_LOCAL_OBSERVABILITY: "false",
  CI: "true",
} as const;

export function beQuiet(): void {
  for (const [name, value] of Object.entries(QUIET_ENV)) process.env[name] ??= value;
}
