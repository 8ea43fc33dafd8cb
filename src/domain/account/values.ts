import { z } from "zod";
import { DAY, MINUTE } from "#kernel/time";

/** How long the link of a letter works (platform R30, R77). */
export const ACTIVATION_LIFE_MS = 30 * MINUTE;
export const PASSWORD_RESET_LIFE_MS = 15 * MINUTE;
/** How long an e-mail is held for who signed up with it first (platform R28). */
export const SIGNUP_COOLDOWN_MS = 30 * MINUTE;
/** How long a deleted account is kept (platform R68). */
export const DELETED_ACCOUNT_KEPT_MS = 15 * DAY;

const MAX_EMAIL = 254;
const MAX_NAME = 100;
const MIN_PASSWORD = 8;
/** Hashing takes time with the length of what is hashed. */
const MAX_PASSWORD = 1024;

/** Letters of every script, but nothing that is invisible or a space, and nothing that needs quotes. */
const EMAIL =
  /^[^\s\p{C}\p{Z}@"(),:;<>[\]\\]{1,64}@[^\s\p{C}\p{Z}@"(),:;<>[\]\\.]+(\.[^\s\p{C}\p{Z}@"(),:;<>[\]\\.]+)+$/u;
const NO_CONTROL = /^[^\p{Cc}\u2028\u2029]*$/u;

/** An e-mail in the one form it is stored and compared in: trimmed, lower-case, NFC (platform R29). */
export const normalEmail = (text: string): string => text.trim().normalize("NFC").toLowerCase().normalize("NFC");

export const Email = z
  .string()
  .max(MAX_EMAIL * 2)
  .overwrite(normalEmail)
  .check(z.email({ pattern: EMAIL }), z.maxLength(MAX_EMAIL));

/** What people are called. It stands in letters and lists, so it holds no line breaks. */
export const PersonName = z.string().trim().min(1).max(MAX_NAME).regex(NO_CONTROL);

/** A password as it is typed in at login: of any length that may be hashed. */
export const Password = z.string().min(1).max(MAX_PASSWORD);
export const NewPassword = z.string().min(MIN_PASSWORD).max(MAX_PASSWORD);

/** A secret out of a letter. */
export const LetterToken = z.string().min(1).max(200);
