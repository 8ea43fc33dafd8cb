import type { Mailer } from "#domain/mail/ports";

const DEFAULT_FROM = "longshore@localhost";

/** Sends letters through Cloudflare's `send_email` binding; where there is none they stay in the outbox. */
export function mailer({ EMAIL, MAIL_FROM }: { EMAIL?: SendEmail; MAIL_FROM?: string }): Mailer {
  return {
    async send({ to, subject, text, html }) {
      if (!EMAIL) return "kept";
      await EMAIL.send({ from: MAIL_FROM ?? DEFAULT_FROM, to, subject, text, html });
      return "sent";
    },
  };
}
