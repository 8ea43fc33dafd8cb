import type { Checked } from "#domain/outbound/guard";
import type { Result } from "#kernel/fault";

export type OutboundRequest = {
  method: "POST" | "PUT";
  url: string;
  headers: Record<string, string>;
  body: string;
};

/** Why a request got no answer. The words are shown to users, so they are a closed list without details. */
export type NoAnswer = "address_not_allowed" | "timeout" | "unreachable";

/** What came of a request: the answer's status and how long it asks to wait, or why there was no answer. */
export type OutboundAnswer =
  | { status: number; retryAfterMs: number | null }
  | { status: null; reason: NoAnswer; retryAfterMs: null };

/** Requests to addresses that users chose (W2). */
export interface Outbound {
  /** Where Telegram's bot API is, without a slash at the end. */
  readonly telegramUrl: string;
  /** Whether an address may be asked at all, as far as its text tells; refuses with `invalid`. */
  check(url: string): Result<Checked>;
  /**
   * Sends one request to a public address. It is given 10 s, follows no redirect, and the body of the answer is not
   * read. Never rejects.
   */
  send(request: OutboundRequest): Promise<OutboundAnswer>;
}
