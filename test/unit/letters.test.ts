import { expect, test } from "vitest";
import { backoffMs } from "#domain/mail/deliver-mails";
import { letterOf } from "#domain/mail/letters";
import { HOUR, MINUTE } from "#kernel/time";

const APP = "https://app.example";
const TOKEN = "AbC-_123";

test.for([
  ["activation", "/activate", "/v1/auth/activate"],
  ["password_reset", "/reset-password", "/v1/me/password/reset/confirm"],
] as const)(
  "the %s letter has its link as a button and in full, the bare secret, and the call by hand",
  ([kind, page, path]) => {
    const letter = letterOf(kind, "ada@example.test", { token: TOKEN }, APP);
    const link = `${APP}${page}?token=${TOKEN}`;
    expect(letter.to).toBe("ada@example.test");
    expect(letter.text).toContain(link);
    expect(letter.text).toMatch(new RegExp(`^Your code: ${TOKEN}$`, "m"));
    expect(letter.text).toContain(`curl -X POST ${APP}${path} `);
    expect(letter.html).toContain(`href="${link}"`);
    expect(letter.html.split(link)).toHaveLength(3);
    expect(letter.html).not.toMatch(/<(script|img|link|style)|http:/);
  },
);

test("without a known address a letter holds the secret and no link", () => {
  const letter = letterOf("activation", "ada@example.test", { token: TOKEN }, "");
  expect(letter.text).toContain(`Your code: ${TOKEN}`);
  for (const part of [letter.text, letter.html]) expect(part).not.toContain("?token=");
  expect(letter.html).not.toContain("href");
});

test("values are escaped in HTML and told as they are in text", () => {
  const [team, by] = [`<img src=x onerror="a()">`, `"&'@example.test`];
  const { text, html, subject } = letterOf("team_added", "ada@example.test", { team, by }, APP);
  expect(text).toContain(`${by} added you to the team “${team}”.`);
  expect(html).not.toContain("<img");
  expect(html).toContain("&lt;img src=x onerror=&quot;a()&quot;&gt;");
  expect(html).toContain("&quot;&amp;&#39;@example.test");
  expect(subject).not.toContain(team);
});

test("every letter says what it is about in one line", () => {
  for (const letter of [
    letterOf("activation", "a@b.test", { token: TOKEN }, APP),
    letterOf("password_reset", "a@b.test", { token: TOKEN }, APP),
    letterOf("password_changed", "a@b.test", {}, APP),
    letterOf("team_added", "a@b.test", { team: "t", by: "b@b.test" }, APP),
    letterOf("account_deleted", "a@b.test", {}, APP),
  ]) {
    expect(letter.subject).toMatch(/^[\w ]{10,60}$/);
    expect(letter.html).toContain(`<title>${letter.subject}</title>`);
    expect(letter.text.startsWith("Hello,\n\n")).toBe(true);
  }
});

test("a letter is tried again after one minute, then twice as long each time, at most six hours", () => {
  expect([1, 2, 3, 4].map(backoffMs)).toEqual([1, 2, 4, 8].map((n) => n * MINUTE));
  expect(backoffMs(20)).toBe(6 * HOUR);
});
