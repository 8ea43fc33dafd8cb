import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultTeamName } from "#domain/account/become-active";
import { Email, normalEmail, PersonName } from "#domain/account/values";
import { ownOrigin } from "#http/app-url";

const parsed = (text: unknown) => Email.safeParse(text).data;
const letters = fc.string({ unit: fc.constantFrom(..."abcxyzäöüéñåø0129._-+"), minLength: 1, maxLength: 20 });

test("an e-mail is the same however its letters are written: case, composition, spaces around it (R29)", () => {
  fc.assert(
    fc.property(letters, letters, fc.constantFrom("", " ", "\t", "\n", "\u00a0"), (name, host, space) => {
      const email = `a${name}b@x${host.replaceAll(/\.+/g, "-")}y.test`;
      const wanted = parsed(email);
      expect(wanted).toBe(email);
      for (const other of [email.toUpperCase(), email.normalize("NFD"), `${space}${email}${space}`]) {
        expect(parsed(other)).toBe(wanted);
      }
    }),
  );
});

test("what was normalised stays as it is, and nothing that is accepted is invisible or breaks a line", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.emailAddress(),
        fc.string().map((s) => `${s}@b.test`),
      ),
      (text) => {
        expect(normalEmail(normalEmail(text))).toBe(normalEmail(text));
        const email = parsed(text);
        if (email === undefined) return;
        expect(parsed(email)).toBe(email);
        expect(email).not.toMatch(/[\s\p{C}\p{Z}]/u);
        expect(email.length).toBeLessThanOrEqual(254);
      },
    ),
    { numRuns: 300 },
  );
});

test.for<[text: string, email: string | undefined, why: string]>([
  ["STRASSE@X.TEST", "strasse@x.test", "plain letters"],
  ["straße@x.test", "straße@x.test", "ß stays what it is: another address than ss"],
  ["STRAẞE@x.test", "straße@x.test", "the capital ẞ is a ß"],
  ["İ@x.test", "i\u0307@x.test", "İ keeps its dot, so it is never an i"],
  ["ı@x.test", "ı@x.test", "nor is ı"],
  ["\u212ael@x.test", "kel@x.test", "the Kelvin sign is a K, and the account is the one of k"],
  ["ﬁ@x.test", "ﬁ@x.test", "a ligature is not taken apart"],
  ["cafe\u0301@x.test", "caf\u00e9@x.test", "composed"],
  ["用户@例え.テスト", "用户@例え.テスト", "every script"],
  ["a@b", undefined, "no domain"],
  ["a@b..test", undefined, "an empty label"],
  ["a@b@c.test", undefined, "two signs"],
  ["@b.test", undefined, "nobody"],
  ["a b@c.test", undefined, "a space"],
  ["a\u202eb@c.test", undefined, "a turn of the writing direction"],
  ["a\u200db@c.test", undefined, "a joiner"],
  ["a\0@c.test", undefined, "NUL"],
  ["<a@b.test>", undefined, "brackets"],
  ["a@b.test,c@d.test", undefined, "two readers"],
])("the e-mail %j becomes %j: %s (R26, R29)", ([text, email]) => {
  expect(parsed(text)).toBe(email);
});

test.for([
  ["Ada", "Ada's Team"],
  ["Zoë Ünal", "Zoe Unal's Team"],
  ["O'Neil-Smith_3@x", "O'Neil-Smith_3@x's Team"],
  ["<b>Eve</b>", "b Eve b's Team"],
  ["王小明", "My Team"],
  ["🚀", "My Team"],
  ["  ", "My Team"],
  ["x".repeat(200), `${"x".repeat(121)}'s Team`],
] as const)("the first team of %j is called %j (R32)", ([name, team]) => {
  expect(defaultTeamName(name)).toBe(team);
});

test("a default team's name is always one that a team may have (R32)", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 100 }), (name) => {
      expect(defaultTeamName(name)).toMatch(/^[A-Za-z0-9 _\-@']{1,128}$/);
    }),
  );
});

test("a name is trimmed, not empty, and of one line (R29, R63)", () => {
  expect(PersonName.parse("  Grace Hopper ")).toBe("Grace Hopper");
  for (const bad of ["", " ", "\u3000", "a\nb", "a\0b", "a\u2028b", "x".repeat(101)]) {
    expect(PersonName.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
  }
});

test.for<[url: string, headers: Record<string, string>, origin: string]>([
  ["http://127.0.0.1:8787/v1", {}, "http://127.0.0.1:8787"],
  ["http://localhost:1/v1", {}, "http://localhost:1"],
  ["https://app.example/v1", {}, "https://app.example"],
  ["https://app.example.evil.example/v1", {}, ""],
  ["https://evil.example/v1", {}, ""],
  ["https://evil.example/v1", { "x-forwarded-host": "app.example" }, ""],
  ["http://localhost:1/v1", { "cf-connecting-ip": "203.0.113.9" }, ""],
  ["http://app.example/v1", {}, ""],
])("letters of a request to %s with %j link to %j", ([url, headers, origin]) => {
  expect(ownOrigin(new Request(url, { headers }), ["https://app.example"])).toBe(origin);
});
