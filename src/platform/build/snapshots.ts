import type { TemplateSnapshots } from "#domain/build/ports";
import type { Ctx } from "#domain/context";
import { refuse } from "#kernel/fault";

/** Templates from the sandboxes of builds. */
export function templateSnapshots(_ctx: Ctx): TemplateSnapshots {
  return { take: async () => refuse("not_supported", "this deployment cannot take templates of sandboxes") };
}
