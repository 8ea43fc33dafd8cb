import { ACTIVATION_LIFE_MS, DELETED_ACCOUNT_KEPT_MS, PASSWORD_RESET_LIFE_MS } from "#domain/account/values";
import type { Letter } from "#domain/mail/ports";
import { type Content, render } from "#domain/mail/render";
import { DAY, MINUTE } from "#kernel/time";

/**
 * What each kind of letter tells of. What strangers choose freely, such as their name, stands in no letter: it would let
 * them write to anybody in our name.
 */
export type LetterData = {
  activation: { token: string };
  password_reset: { token: string };
  password_changed: Record<never, never>;
  /** `by` is the e-mail of who added the reader. */
  team_added: { team: string; by: string };
  account_deleted: Record<never, never>;
};
export type LetterKind = keyof LetterData;

const minutes = (ms: number) => `${ms / MINUTE} minutes`;

const CONTENTS: { [K in LetterKind]: (data: LetterData[K]) => Content } = {
  activation: ({ token }) => ({
    subject: "Activate your Longshore account",
    before: [
      `Welcome to Longshore. Activate your account within ${minutes(ACTIVATION_LIFE_MS)} to log in.`,
      "If you did not sign up, ignore this letter: nothing happens without it.",
    ],
    action: {
      label: "Activate account",
      page: "/activate",
      token,
      call: { path: "/v1/auth/activate", body: { token } },
    },
  }),
  password_reset: ({ token }) => ({
    subject: "Reset your Longshore password",
    before: [
      `Somebody asked to reset the password of your account. The link works once, within ${minutes(PASSWORD_RESET_LIFE_MS)}.`,
      "If it was not you, ignore this letter: your password stays as it is.",
    ],
    action: {
      label: "Choose a new password",
      page: "/reset-password",
      token,
      call: { path: "/v1/me/password/reset/confirm", body: { token, new_password: "YOUR NEW PASSWORD" } },
    },
  }),
  password_changed: () => ({
    subject: "Your Longshore password was changed",
    before: [
      "The password of your account was changed, and all its sessions were ended.",
      "If it was not you, reset the password now: whoever changed it can log in until you do.",
    ],
  }),
  team_added: ({ team, by }) => ({
    subject: "You were added to a team on Longshore",
    before: [`${by} added you to the team “${team}”.`, "You find it among your teams at your next visit."],
  }),
  account_deleted: () => ({
    subject: "Your Longshore account is gone",
    before: [
      `Your account was deleted ${DELETED_ACCOUNT_KEPT_MS / DAY} days ago and has now been removed for good, with your name and e-mail.`,
      "This is the last letter you get from us.",
    ],
  }),
};

/** A letter ready to send. `appUrl` is where its links lead; without one it holds the bare secret alone. */
export function letterOf<K extends LetterKind>(kind: K, to: string, data: LetterData[K], appUrl: string): Letter {
  return { to, ...render(CONTENTS[kind](data), appUrl) };
}
