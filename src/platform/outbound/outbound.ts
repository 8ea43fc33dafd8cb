import { DEFAULT_PORTS, type GuardSettings, guardUrl } from "#domain/outbound/guard";
import type { Outbound, OutboundAnswer } from "#domain/outbound/ports";
import { retryAfterMs } from "#domain/outbound/retry-after";
import { SECOND } from "#kernel/time";

type OutboundEnv = Pick<Env, "OUTBOUND" | "OUTBOUND_ALLOW" | "OUTBOUND_PORTS" | "TELEGRAM_API_URL">;

const TIMEOUT_MS = 10 * SECOND;
const TELEGRAM_API_URL = "https://api.telegram.org";
const USER_AGENT = "Longshore/1 (notifications)";

/**
 * Requests to the public internet. Cloudflare's edge connects to public addresses only. A local server does so through
 * the `OUTBOUND` service, which refuses at connect time, so that no name can be made to point inside.
 */
export function outbound(env: OutboundEnv, timeoutMs = TIMEOUT_MS): Outbound {
  const settings = settingsOf(env);
  return {
    telegramUrl: (env.TELEGRAM_API_URL || TELEGRAM_API_URL).replace(/\/+$/, ""),
    check: (url) => guardUrl(url, settings),
    async send({ url: text, ...init }): Promise<OutboundAnswer> {
      const checked = guardUrl(text, settings);
      if (!checked.ok) return { status: null, reason: "address_not_allowed", retryAfterMs: null };
      const { url, exempt } = checked.value;
      const aborter = new AbortController();
      // Not `AbortSignal.timeout`, which would keep the invocation alive after the answer came.
      const timer = setTimeout(() => aborter.abort(), timeoutMs);
      try {
        const request = new Request(url, { ...init, redirect: "manual", signal: aborter.signal });
        request.headers.set("user-agent", USER_AGENT);
        const answer = await (exempt || !env.OUTBOUND ? fetch(request) : env.OUTBOUND.fetch(request));
        // What it says is nobody's business here, and an unread body would hold the connection.
        await answer.body?.cancel();
        return { status: answer.status, retryAfterMs: retryAfterMs(answer.headers.get("retry-after"), Date.now()) };
      } catch {
        return { status: null, reason: aborter.signal.aborted ? "timeout" : "unreachable", retryAfterMs: null };
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function settingsOf({ OUTBOUND_ALLOW = "", OUTBOUND_PORTS = "" }: OutboundEnv): GuardSettings {
  const ports = items(OUTBOUND_PORTS).map(Number);
  return { allow: new Set(items(OUTBOUND_ALLOW)), ports: new Set(ports.length > 0 ? ports : DEFAULT_PORTS) };
}

const items = (list: string): string[] => list.split(",").flatMap((item) => item.trim().toLowerCase() || []);
