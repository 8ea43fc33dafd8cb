import fc from "fast-check";
import { expect, test } from "vitest";
import { scopeOf } from "#domain/audit/catalogue";
import { boundedDetails } from "#domain/audit/metadata";
import { shownAction, storedVerbs } from "#surfaces/platform/audit-words";

test("whatever the details hold, they become JSON of bounded size that comes back as it is (R388)", () => {
  const strange = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true, withNullPrototype: true }),
    fc.string({ unit: "binary", maxLength: 5_000 }),
    fc.constantFrom("\ud800", Number.NaN, -0, Symbol("s"), () => 1, 2n ** 80n),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), strange), (details) => {
      const kept = boundedDetails(details);
      const text = JSON.stringify(kept);
      expect(text.isWellFormed()).toBe(true);
      expect(JSON.stringify(JSON.parse(text))).toBe(text);
    }),
  );
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  expect(JSON.stringify(boundedDetails(circle)).length).toBeLessThan(100);
  const huge = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, "x".repeat(10_000)]));
  expect(JSON.stringify(boundedDetails(huge)).length).toBeLessThan(50_000);
});

test.for<[action: string, shown: string, scope: string]>([
  ["sandbox.created", "create", "team"],
  ["sandbox.paused", "pause", "team"],
  ["sandbox.resumed", "resume", "team"],
  ["sandbox.destroyed", "destroy", "team"],
  ["snapshot.created", "create", "team"],
  ["snapshot.deleted", "delete", "team"],
  ["api_key.created", "create", "team"],
  ["api_key.revoked", "revoke", "team"],
  ["channel.created", "create", "team"],
  ["channel.updated", "update", "team"],
  ["channel.config_rotated", "rotate_config", "team"],
  ["channel.deleted", "delete", "team"],
  ["team.renamed", "rename", "team"],
  ["host.returned", "marked_up", "team"],
  ["host.lost", "marked_down", "team"],
  ["member.added", "add", "admin"],
  ["member.removed", "remove", "admin"],
  ["member.left", "leave", "admin"],
  ["member.role_updated", "role_update", "admin"],
  ["host.created", "create", "admin"],
  ["host.deleted", "delete", "admin"],
  ["user.activated", "activate", "admin"],
  ["user.deactivated", "deactivate", "admin"],
  ["user.admin_granted", "grant_admin", "admin"],
  ["user.admin_revoked", "revoke_admin", "admin"],
  ["team.byoc_set", "set_byoc", "admin"],
  ["team.deleted", "delete", "admin"],
  ["template.deleted", "delete", "admin"],
  ["build.created", "create", "admin"],
  ["build.cancelled", "cancel", "admin"],
])("%s is %s in scope %s (R386)", ([action, shown, scope]) => {
  expect([shownAction(action), scopeOf(action as "a.b")]).toEqual([shown, scope]);
  expect(storedVerbs([shown])).toContain(action.split(".")[1]);
});

test("an unlisted action is shown as it is stored, and found by what is shown", () => {
  expect(shownAction("host.refresh_token_reused")).toBe("refresh_token_reused");
  expect(shownAction("x.constructor")).toBe("constructor");
  expect(storedVerbs(["refresh_token_reused"])).toEqual(["refresh_token_reused"]);
  // The stored word of something that is shown by another name finds nothing.
  expect(storedVerbs(["created"])).toEqual([]);
});
