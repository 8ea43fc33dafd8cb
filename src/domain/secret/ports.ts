/** Encryption at rest of secrets that must be read again, such as a webhook's. */
export interface SecretBox {
  /** Seals text. `context` names where it is kept; opened anywhere else it is refused. */
  seal(text: string, context: string): Promise<string>;
  /** The sealed text; throws when it was changed, moved, or sealed under another key. */
  open(sealed: string, context: string): Promise<string>;
}
