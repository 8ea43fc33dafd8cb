import { eq } from "drizzle-orm";
import { expect, test } from "vitest";
import { auditIfChanged } from "#domain/audit/audit";
import { commit } from "#domain/context";
import { teams } from "#schema";
import { auditOf } from "#test/worker/control";
import { countOf, rowOf, tenant } from "#test/worker/harness";

test("a conditional change leaves an audit row exactly if it changed something (T12)", async () => {
  const { ctx, teamId } = await tenant();
  const rename = (id: string) =>
    commit(
      ctx.db,
      ctx.db.update(teams).set({ name: "x" }).where(eq(teams.id, id)).returning({ id: teams.id }),
      auditIfChanged(ctx, "team.renamed", id, { name: "x" }),
    );
  expect(await rename("team_unknown")).toEqual([]);
  expect(await auditOf("team_unknown")).toEqual([]);
  expect(await rename(teamId)).toEqual([{ id: teamId }]);
  expect(await rowOf("audit_entries", teamId, "subject_id")).toMatchObject({
    action: "team.renamed",
    team_id: teamId,
    scope: "team",
    result: "ok",
    metadata: '{"name":"x"}',
  });
  expect(await countOf("audit_entries", "subject_id = ?", teamId)).toBe(1);
});
