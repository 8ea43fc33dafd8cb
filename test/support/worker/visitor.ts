import { env } from "cloudflare:workers";
import { systemActor } from "#domain/actor";
import { type KeptMail, listMails } from "#domain/mail/list-mails";
import { eventually } from "#test/worker/control";
import { type Answer, call, contextFor } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

let visitors = 0;

/** An e-mail that no other test of the file uses. */
export const newEmail = (): string => `visitor-${++visitors}@example.test`;

/** A client with an address of its own, so that its requests are counted apart. */
export function visitor() {
  const address = `198.51.100.${(++visitors % 250) + 1}`;
  const headers = { "cf-connecting-ip": address, "user-agent": "Test browser" };
  const post = (path: string, body?: unknown, more: Record<string, string> = {}): Promise<Answer> =>
    call("POST", path, { body, headers: { ...headers, ...more } });
  return { address, post };
}

/** Posts as a client that was never seen before. */
export const post: ReturnType<typeof visitor>["post"] = (...args) => visitor().post(...args);

/** Letters to somebody, newest first, as the outbox holds them. */
export const lettersTo = (email: string): Promise<KeptMail[]> => listMails(contextFor(systemActor("test")), email);

/** The secret in the newest letter of a kind to somebody; waits for it, because letters may be written afterwards. */
export async function letterToken(email: string, kind = "activation"): Promise<string> {
  const letter = await eventually(async () => {
    const found = (await lettersTo(email)).find((one) => one.kind === kind);
    if (!found) throw new Error(`no ${kind} letter to ${email}`);
    return found;
  });
  return /^Your code: (\S+)$/m.exec(letter.text)?.[1] ?? "";
}

/** The value that an answer sets a cookie to; undefined when it sets none. */
export const cookieOf = ({ headers }: Answer, name: string): string | undefined =>
  headers
    .getSetCookie()
    .flatMap((line) => (line.startsWith(`${name}=`) ? line.slice(name.length + 1) : []))[0]
    ?.split(";")[0];

/** True when an answer takes both cookies of a session back, and sets nothing else. */
export const clears = ({ headers }: Answer): boolean =>
  headers
    .getSetCookie()
    .map((line) => line.split("; SameSite")[0])
    .join() === "wrenn_sid=; Path=/; Max-Age=0,wrenn_csrf=; Path=/; Max-Age=0";

export const PASSWORD = "a good password";
let hashed: Promise<string> | undefined;

/** A user in a browser who can also log in with `PASSWORD`. */
export async function withPassword(options: Parameters<typeof person>[0] = {}): Promise<Person> {
  hashed ??= contextFor(systemActor("test")).passwords.hash(PASSWORD);
  return person({ email: newEmail(), passwordHash: await hashed, ...options });
}

/** What was audited about somebody's account and not refused, oldest first. */
export async function doneTo(userId: string): Promise<unknown[]> {
  const query = "SELECT action FROM audit_entries WHERE subject_id = ? AND result = 'ok' ORDER BY created_at, id";
  const { results } = await env.DB.prepare(query).bind(userId).all();
  return results.map(({ action }) => action);
}
