import fc from "fast-check";
import { expect, test } from "vitest";
import type { Role } from "#domain/actor";
import { type Ctx, commit, type Statement } from "#domain/context";
import { insertMembership } from "#domain/principal/repo";
import { addTeamMember } from "#domain/team/add-team-member";
import { deleteTeam } from "#domain/team/delete-team";
import { leaveTeam, removeTeamMember } from "#domain/team/remove-team-member";
import { renameTeam } from "#domain/team/rename-team";
import { updateMemberRole } from "#domain/team/update-member-role";
import { memberships } from "#schema";
import { auditOf } from "#test/worker/control";
import { contextFor, countOf, rowOf, tenant } from "#test/worker/harness";
import { person } from "#test/worker/person";

/**
 * A context whose actor still has `role`, while the directory has changed to something else: what a request sees that
 * was let in a moment before. `meanwhile` runs when the verb has looked at everything and is about to write.
 */
function late(t: { ctx: Ctx }, role: Role, meanwhile: () => Promise<unknown>): Ctx {
  const ctx = contextFor({ ...t.ctx.actor, role });
  const db = new Proxy(ctx.db, {
    get: (target, name) =>
      name === "batch"
        ? async (statements: [Statement, ...Statement[]]) => {
            await meanwhile();
            return target.batch(statements);
          }
        : Reflect.get(target, name, target),
  });
  return { ...ctx, db };
}

const VERBS: [string, Role, (ctx: Ctx, team: string, target: { userId: string; email: string }) => Promise<unknown>][] =
  [
    ["renaming", "admin", (ctx, id) => renameTeam(ctx, { id, name: "n" })],
    ["deleting", "owner", (ctx, id) => deleteTeam(ctx, id)],
    ["adding", "admin", (ctx, id, { email }) => addTeamMember(ctx, { id, email })],
    ["changing a role", "admin", (ctx, id, { userId }) => updateMemberRole(ctx, { id, userId, role: "admin" })],
    ["removing", "admin", (ctx, id, { userId }) => removeTeamMember(ctx, { id, userId })],
  ];

const CHANGES: [string, (t: Awaited<ReturnType<typeof tenant>>) => Promise<unknown>][] = [
  ["demoted", (t) => t.ctx.db.update(memberships).set({ role: "member" })],
  ["made a viewer", (t) => t.ctx.db.update(memberships).set({ role: "viewer" })],
  ["removed", (t) => t.ctx.db.run(`DELETE FROM memberships WHERE user_id = '${t.userId}'`)],
  ["left without the team", (t) => t.ctx.db.run(`UPDATE teams SET deleted_at = 1 WHERE id = '${t.teamId}'`)],
];

test.for(VERBS.flatMap(([verb, role, run]) => CHANGES.map(([what, change]) => ({ verb, what, role, run, change }))))(
  "$verb is refused to somebody who is $what at the last moment, and changes nothing (T7, T12)",
  async ({ verb, role, run, change }) => {
    const t = await tenant(role);
    const target = await person(verb === "adding" ? {} : { teamId: t.teamId, role: "member" });
    const members = await countOf("memberships", "team_id = ?", t.teamId);
    let before = members;
    const meanwhile = async () => {
      await change(t);
      before = await countOf("memberships", "team_id = ?", t.teamId);
    };
    await expect(run(late(t, role, meanwhile), t.teamId, target)).rejects.toMatchObject({ code: "forbidden" });
    expect(await countOf("memberships", "team_id = ?", t.teamId)).toBe(before);
    expect(await rowOf("teams", t.teamId)).toMatchObject({ name: "Team" });
    expect(await countOf("memberships", "team_id = ? AND role = 'admin' AND user_id <> ?", t.teamId, t.userId)).toBe(0);
    expect([await auditOf(target.userId), await auditOf(t.teamId)]).toEqual([[], []]);
  },
);

test("somebody who became the owner in between is neither changed nor removed", async () => {
  const t = await tenant("admin");
  const target = await person({ teamId: t.teamId, role: "member" });
  const promote = () => t.ctx.db.run(`UPDATE memberships SET role = 'owner' WHERE user_id = '${target.userId}'`);
  const input = { id: t.teamId, userId: target.userId };
  for (const attempt of [
    () => updateMemberRole(late(t, "admin", promote), { ...input, role: "admin" }),
    () => removeTeamMember(late(t, "admin", promote), input),
    () => leaveTeam(late({ ctx: contextFor({ ...t.ctx.actor, id: target.userId }) }, "member", promote), t.teamId),
  ]) {
    await t.ctx.db.run(`UPDATE memberships SET role = 'member' WHERE user_id = '${target.userId}'`);
    await expect(attempt()).rejects.toMatchObject({ code: "forbidden" });
  }
  expect(await auditOf(target.userId)).toEqual([]);
});

test("whatever members do to each other at once, the team keeps its one owner, and each change its audit row (T12)", async () => {
  const step = fc.record({
    by: fc.nat(4),
    to: fc.nat(4),
    what: fc.constantFrom("promote", "demote", "remove", "add", "leave"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 8 }), async (steps) => {
      const owner = await tenant();
      const people = await Promise.all(
        (["admin", "admin", "member", "viewer"] as const).map(async (role) => {
          const one = await tenant();
          const joined = { teamId: owner.teamId, userId: one.userId, role, createdAt: 0 };
          await commit(one.ctx.db, insertMembership(one.ctx.db, joined));
          return one;
        }),
      );
      const all = [owner, ...people];
      const changed = await Promise.allSettled(
        steps.map(async ({ by, to, what }) => {
          const [actor, target] = [all[by]!, all[to]!];
          const ctx = contextFor({ ...actor.ctx.actor, teamId: owner.teamId, role: by === 4 ? "viewer" : "owner" });
          const input = { id: owner.teamId, userId: target.userId };
          if (what === "promote") return updateMemberRole(ctx, { ...input, role: "admin" });
          if (what === "demote") return updateMemberRole(ctx, { ...input, role: "member" });
          if (what === "remove") return removeTeamMember(ctx, input);
          if (what === "add") return addTeamMember(ctx, { id: owner.teamId, email: `${target.userId}@example.test` });
          return leaveTeam(ctx, owner.teamId);
        }),
      );
      for (const one of changed) if (one.status === "rejected") expect(one.reason).toHaveProperty("code");
      const owners = "team_id = ? AND role = 'owner'";
      expect(await countOf("memberships", `${owners} AND user_id = ?`, owner.teamId, owner.userId)).toBe(1);
      expect(await countOf("memberships", owners, owner.teamId)).toBe(1);
      const count = (action: string) =>
        countOf("audit_entries", "team_id = ? AND action = ? AND result = 'ok'", owner.teamId, action);
      const gone = (await count("member.removed")) + (await count("member.left"));
      const members = await countOf("memberships", "team_id = ?", owner.teamId);
      expect(members).toBe(5 + (await count("member.added")) - gone);
    }),
    { numRuns: 15 },
  );
});
