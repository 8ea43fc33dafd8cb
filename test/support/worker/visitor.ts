import { systemActor } from "#domain/actor";
import { type KeptMail, listMails } from "#domain/mail/list-mails";
import { csrfTokenOf } from "#domain/principal/values";
import { eventually } from "#test/worker/control";
import { type Answer, call, contextFor } from "#test/worker/harness";

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

/** An activated account with a password, and the answer that logged it in. */
export async function member(name = "Ada") {
  const [email, password] = [newEmail(), "a good password"];
  await post("/v1/auth/signup", { email, password, name });
  const answer = await post("/v1/auth/activate", { token: await letterToken(email) });
  return {
    email,
    password,
    name,
    answer,
    sid: cookieOf(answer, "wrenn_sid") ?? "",
    userId: answer.body.user_id as string,
  };
}

/** Headers of a browser that holds a session. */
export async function cookies(sid: string): Promise<Record<string, string>> {
  const csrf = await csrfTokenOf(sid);
  return { cookie: `wrenn_sid=${sid}; wrenn_csrf=${csrf}`, "x-csrf-token": csrf };
}
