import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { ROOT } from "#scripts/lib/paths";

/** Settings the Worker reads that a user may give on the command line's environment or in `.dev.vars`. */
const NAMES = [
  ...["MODELS", "RUNTIME_ANONYMOUS", "LOG_LEVEL", "RUN_TIMEOUT_SECONDS", "TOOL_TIMEOUT_SECONDS", "SANDBOX_BACKEND"],
  ...["MAX_VCPUS", "MAX_MEMORY_MB", "MAX_DISK_MB"],
  ...["OUTBOUND_ALLOW", "OUTBOUND_PORTS", "TELEGRAM_API_URL"],
  ...["APP_URL", "APP_ORIGINS", "TRUSTED_PROXY_HEADER", "SANDBOX_EGRESS", "PREVIEW_DOMAIN"],
  ...["OAUTH_GITHUB_CLIENT_ID", "OAUTH_GITHUB_CLIENT_SECRET", "OAUTH_REDIRECT_URL"],
  ...["OAUTH_GITHUB_AUTHORIZE_URL", "OAUTH_GITHUB_TOKEN_URL", "OAUTH_GITHUB_API_URL"],
];

/** Names of the secrets that MODELS mentions; a malformed MODELS is reported by the Worker, which says more. */
function keyNames(models: string | undefined): string[] {
  try {
    const parsed = JSON.parse(models ?? "{}") as { models?: Record<string, { key?: unknown }> };
    return Object.values(parsed.models ?? {}).flatMap(({ key }) => (typeof key === "string" ? [key] : []));
  } catch {
    return [];
  }
}

/** The user's settings: `.dev.vars` first, the environment over it. */
export function userSettings(): Record<string, string> {
  let file: Record<string, string | undefined> = {};
  try {
    file = parseEnv(readFileSync(join(ROOT, ".dev.vars"), "utf8"));
  } catch {}
  const known = (name: string) => process.env[name] ?? file[name];
  const names = [...NAMES, ...keyNames(known("MODELS"))];
  return Object.fromEntries(names.flatMap((name) => [[name, known(name)]]).filter(([, value]) => value)) as Record<
    string,
    string
  >;
}
