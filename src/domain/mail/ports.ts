export type Letter = { to: string; subject: string; text: string; html: string };

/** Hands letters to whoever delivers them. */
export interface Mailer {
  /** `sent` when a mail service took the letter; `kept` where there is none and the outbox is read by the developer. */
  send(letter: Letter): Promise<"sent" | "kept">;
}
