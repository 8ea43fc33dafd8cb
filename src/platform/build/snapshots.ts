import type { TemplateSnapshots } from "#domain/build/ports";
import type { Ctx } from "#domain/context";
import { takeTemplate } from "#domain/template/take-template";
import { PLATFORM_TEAM } from "#domain/template/values";
import { settle } from "#kernel/fault";

/** Templates from the sandboxes of builds. */
export const templateSnapshots = (ctx: Ctx): TemplateSnapshots => ({
  take: ({ teamId: sandboxTeamId, ...order }) =>
    settle(async () => {
      await takeTemplate(ctx, { ...order, sandboxTeamId, teamId: PLATFORM_TEAM, action: "template.created" });
      return null;
    }),
});
