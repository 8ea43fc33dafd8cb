import { z } from "zod";
import { PersonName } from "#domain/account/values";
import { MINUTE } from "#kernel/time";

/** Providers that an account can have (platform R83). */
export const PROVIDERS = ["github"] as const;
const Provider = z.enum(PROVIDERS);

export const isProvider = (name: string): boolean => Provider.safeParse(name).success;

/** How long a browser may take between leaving for a provider and coming back. */
export const FLOW_MS = 10 * MINUTE;

/** Why a login at a provider came to nothing, as the web app is told it (platform R85). */
export const LOGIN_ERRORS = [
  "access_denied",
  "invalid_state",
  "missing_code",
  "exchange_failed",
  "email_taken",
  "internal_error",
] as const;
export type LoginError = (typeof LOGIN_ERRORS)[number];

/** Ends a login at a provider. The message is for the log. */
export class LoginRefused extends Error {
  readonly error: LoginError;

  constructor(error: LoginError, message: string) {
    super(message);
    this.name = "LoginRefused";
    this.error = error;
  }
}

/** What a browser carries, sealed, while its user is at a provider. */
export const Flow = z.object({
  provider: Provider,
  state: z.string(),
  verifier: z.string(),
  redirectUri: z.string(),
  /** True when a person who has no account shall not get one (decision A29). */
  knownOnly: z.boolean(),
});
export type Flow = z.infer<typeof Flow>;

/** What it carries beside that when the provider is to be linked to an account: who asked for it, in which session. */
export const Link = z.object({ userId: z.string(), sessionId: z.string(), name: z.string() });
export type Link = z.infer<typeof Link>;

const NAME_LENGTH = 100;

/** A name for an account: the first of those that a provider offers which makes one, without control characters, cut. */
export function accountName(...offers: (string | null | undefined)[]): string {
  for (const offer of offers) {
    const text = (offer ?? "").normalize("NFC");
    const line = text.replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, " ").trim();
    // The cut must not leave half a character.
    const name = PersonName.safeParse(line.slice(0, NAME_LENGTH).replace(/[\ud800-\udbff]$/, ""));
    if (name.success) return name.data;
  }
  return "Somebody";
}
