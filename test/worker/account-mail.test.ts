import { env } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import { systemActor } from "#domain/actor";
import { type Ctx, commit } from "#domain/context";
import { deliverMails, purgeMails } from "#domain/mail/deliver-mails";
import type { Letter } from "#domain/mail/ports";
import { queueMail, sealLetter } from "#domain/mail/queue-mail";
import { DAY, MINUTE } from "#kernel/time";
import { mailer } from "#platform/mail/mailer";
import { eventually } from "#test/worker/control";
import { call, contextFor, countOf, rowOf } from "#test/worker/harness";
import { lettersTo, newEmail, post } from "#test/worker/visitor";

const restore: (() => void)[] = [];
afterEach(() => {
  for (const undo of restore.splice(0)) undo();
});
function setting(name: string, value: unknown): void {
  Reflect.set(env, name, value);
  restore.push(() => Reflect.deleteProperty(env, name));
}

/** A mail service that takes letters, or fails. */
function service(fail = false) {
  const sent: (Letter & { from: string })[] = [];
  const binding = {
    send: async (letter: Letter & { from: string }) => {
      if (fail) throw new Error("the service is down");
      sent.push(letter);
    },
  };
  return { sent, binding: binding as unknown as SendEmail };
}
const through = (EMAIL: SendEmail, more: Partial<Ctx> = {}): Ctx => ({
  ...contextFor(systemActor("scheduler")),
  mailer: mailer({ EMAIL, MAIL_FROM: "longshore@example.test" }),
  ...more,
});
async function queue(to = newEmail()): Promise<{ id: string; to: string }> {
  const ctx = contextFor(systemActor("test"));
  const letter = await sealLetter(ctx, "password_changed", to, {});
  await commit(ctx.db, queueMail(ctx.db, letter));
  return { id: letter.id, to };
}
const mail = (id: string) => rowOf("mails", id);
const makeDue = (id: string) => env.DB.prepare("UPDATE mails SET due_at = 0 WHERE id = ?").bind(id).run();

test("a letter is sealed in its row, and can be opened nowhere else", async () => {
  const { id, to } = await queue();
  const row = await mail(id);
  expect(JSON.stringify(row)).not.toContain(to);
  const { secrets } = contextFor(systemActor("test"));
  expect(await secrets.open(String(row?.sealed), id)).toContain(to);
  await expect(secrets.open(String(row?.sealed), "mail_other")).rejects.toThrow();
});

test("without a mail service a letter stays, is not tried again, and is forgotten after seven days", async () => {
  const { id, to } = await queue();
  const ctx = contextFor(systemActor("scheduler"));
  await deliverMails(ctx);
  expect(await mail(id)).toMatchObject({ attempts: 1, due_at: null, sent_at: null });
  expect(await lettersTo(to)).toHaveLength(1);
  await env.DB.prepare("UPDATE mails SET created_at = ? WHERE id = ?")
    .bind(Date.now() - 7 * DAY + MINUTE, id)
    .run();
  await purgeMails(ctx);
  expect(await mail(id)).not.toBe(null);
  await env.DB.prepare("UPDATE mails SET created_at = ? WHERE id = ?")
    .bind(Date.now() - 7 * DAY, id)
    .run();
  await purgeMails(ctx);
  expect(await mail(id)).toBe(null);
});

test("a letter that was sent leaves an empty row", async () => {
  const { sent, binding } = service();
  const { id, to } = await queue();
  await deliverMails(through(binding));
  expect(sent).toEqual([expect.objectContaining({ to, from: "longshore@example.test", text: expect.any(String) })]);
  expect(await mail(id)).toMatchObject({ sealed: "", due_at: null, sent_at: expect.any(Number) });
  await deliverMails(through(binding));
  expect(sent).toHaveLength(1);
});

test("several who deliver at the same time send each letter once", async () => {
  const { sent, binding } = service();
  const queued = await Promise.all([queue(), queue(), queue()]);
  await Promise.all([1, 2, 3].map(() => deliverMails(through(binding))));
  expect(sent.map(({ to }) => to).sort()).toEqual(queued.map(({ to }) => to).sort());
});

test("a letter that cannot be sent is tried ten times, later each time, and then given up", async () => {
  const down = service(true).binding;
  const { id } = await queue();
  for (let attempts = 1; attempts <= 10; attempts++) {
    const before = Date.now();
    await deliverMails(through(down));
    const row = await mail(id);
    expect(row).toMatchObject({ attempts, sent_at: null });
    if (attempts === 10) break;
    const wait = Number(row?.due_at) - before;
    expect(wait).toBeGreaterThanOrEqual(Math.min(2 ** (attempts - 1), 360) * MINUTE);
    await deliverMails(through(down));
    expect(await mail(id)).toMatchObject({ attempts });
    await makeDue(id);
  }
  expect(await mail(id)).toMatchObject({ due_at: null, sealed: expect.stringMatching(/^v1\./) });
});

test("a crash between sending and noting it sends the letter again", async () => {
  const { sent, binding } = service();
  const { id, to } = await queue();
  const crashing = {
    send: async (letter: Letter) => {
      await binding.send({ ...letter, from: "x" } as never);
      throw new Error("crash");
    },
  };
  await deliverMails(through(binding, { mailer: crashing }));
  await makeDue(id);
  await deliverMails(through(binding));
  expect(sent.map((letter) => letter.to)).toEqual([to, to]);
});

test("a sign-up's letter leaves at once through the service that is bound", async () => {
  const { sent, binding } = service();
  setting("EMAIL", binding);
  setting("MAIL_FROM", "hello@example.test");
  setting("APP_URL", "https://app.example");
  const email = newEmail();
  await post("/v1/auth/signup", { email, password: "a good password", name: "Ada" });
  const [letter] = await eventually(() => {
    if (sent.length === 0) throw new Error("not sent yet");
    return sent;
  });
  expect(letter).toMatchObject({ to: email, from: "hello@example.test" });
  expect(letter?.text).toContain("https://app.example/activate?token=");
  await eventually(async () => expect(await countOf("mails", "sent_at IS NULL AND due_at IS NOT NULL")).toBe(0));
});

test("the outbox is read with the set-up token alone, newest first, for one reader or all", async () => {
  const TOKEN = "a-set-up-token-of-some-length";
  const [first, second] = [await queue(), await queue()];
  const read = (query: string, token = TOKEN) =>
    call("GET", `/internal/v1/setup/mails${query}`, { headers: { "x-setup-token": token } });
  expect((await read("")).status).toBe(404);
  setting("SETUP_TOKEN", TOKEN);
  expect((await read("", "wrong")).status).toBe(404);
  const all = await read("");
  expect(all.status).toBe(200);
  const seen = all.body.mails.map(({ to }: Letter) => to);
  expect(seen.indexOf(second.to)).toBeLessThan(seen.indexOf(first.to));
  const one = await read(`?to=${encodeURIComponent(first.to.toUpperCase())}`);
  expect(one.body.mails).toEqual([expect.objectContaining({ id: first.id, to: first.to, kind: "password_changed" })]);
  expect((await read("?to=nobody@example.test")).body).toEqual({ mails: [] });
});
