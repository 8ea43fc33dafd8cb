import type { Mailer } from "#domain/mail/ports";

/** Sends letters through Cloudflare's `send_email` binding; without it, or without a sender, they stay in the outbox. */
export function mailer({ EMAIL, MAIL_FROM }: { EMAIL?: SendEmail; MAIL_FROM?: string }): Mailer {
  return {
    async send({ to, subject, text, html }) {
      if (!EMAIL || !MAIL_FROM) return "kept";
      await EMAIL.send({ from: MAIL_FROM, to, subject, text, html });
      return "sent";
    },
  };
}
