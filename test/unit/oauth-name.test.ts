import fc from "fast-check";
import { expect, test } from "vitest";
import { PersonName } from "#domain/account/values";
import { accountName } from "#domain/oauth/values";

test.for([
  [["  Mona\tLisa \n", "octocat"], "Mona Lisa"],
  [[null, "octocat"], "octocat"],
  [["\u0000 \u2028", "octocat"], "octocat"],
  [["👩‍🚀 Ada"], "👩‍🚀 Ada"],
  [["e\u0301"], "\u00e9"],
  [["x".repeat(200)], "x".repeat(100)],
  [[undefined, ""], "Somebody"],
] as const)("of what a provider offers, %o, an account is called %s", ([offers, name]) => {
  expect(accountName(...offers)).toBe(name);
});

test("whatever a provider offers becomes a name that accounts may have", () => {
  const offer = fc.option(fc.string({ unit: "binary", maxLength: 200 }), { nil: null });
  fc.assert(
    fc.property(fc.array(offer, { maxLength: 3 }), (offers) => {
      const name = accountName(...offers);
      expect(PersonName.parse(name)).toBe(name);
      expect(name.isWellFormed()).toBe(true);
    }),
  );
});
