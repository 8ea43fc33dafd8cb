import { expect, test } from "vitest";
import { PERMISSIONS, ROLE_PERMISSIONS, type Role } from "#domain/actor";

/** Which of viewer, member, admin and owner hold a permission of a team, in that order. */
const TABLE: Record<string, string> = {
  "team:read": "vmao",
  "team:write": "--ao",
  "template:read": "vmao",
  "template:write": "-mao",
  "team:delete": "---o",
  "key:read": "vmao",
  "key:write": "-mao",
  "channel:read": "vmao",
  "channel:write": "-mao",
  "event:read": "vmao",
  "audit:read": "vmao",
  "workspace:read": "vmao",
  "workspace:write": "-mao",
  "sandbox:read": "vmao",
  "sandbox:write": "-mao",
  "session:read": "vmao",
  "session:write": "-mao",
};

test("roles hold exactly the permissions of the table (T3)", () => {
  const roles: Role[] = ["viewer", "member", "admin", "owner"];
  const held = PERMISSIONS.map((permission) => {
    const letters = roles.map((role) => (ROLE_PERMISSIONS[role].includes(permission) ? role.charAt(0) : "-"));
    return [permission, letters.join("")];
  });
  expect(Object.fromEntries(held.filter(([, letters]) => letters !== "----"))).toEqual(TABLE);
});
