import { and, eq, inArray } from "drizzle-orm";
import { type AuditAction, audit } from "#domain/audit/audit";
import { type Ctx, commit, inTeam } from "#domain/context";
import { eventActor } from "#domain/event/actors";
import { announce } from "#domain/event/announce";
import { emit, type NewTeamEvent } from "#domain/event/emit";
import type { Template } from "#domain/template/repo";
import { PLATFORM_TEAM } from "#domain/template/values";
import { randomHex } from "#kernel/digest";
import { Fault, type FaultCode, unwrap } from "#kernel/fault";
import { MINUTE } from "#kernel/time";
import { templates } from "#schema";

/** How long a snapshot may take in all. */
export const SNAPSHOT_DEADLINE_MS = 10 * MINUTE;
/** Beyond it, until what an upload has left is collected. */
const MARGIN_MS = 5 * MINUTE;

/** Answers to a request that could not be begun; anything else is a failure, and told as one. */
const REFUSALS: ReadonlySet<FaultCode> = new Set<FaultCode>(["sandbox_not_running", "template_name_taken"]);

/** What becomes a template: the files of a running sandbox. `teamId` is the owner, empty for the platform. */
export type TemplateOrder = Pick<
  Template,
  "teamId" | "name" | "type" | "vcpus" | "memoryMb" | "defaultEnv" | "defaultUser" | "metadata" | "createdBy"
> & {
  /** The sandbox and the team it belongs to. */
  sandboxId: string;
  sandboxTeamId: string;
  action: AuditAction;
};

/**
 * Takes the files of a running sandbox, which goes on, as a template. `template_name_taken`, also when another one came
 * first; `sandbox_not_running`, also while another snapshot of it is being taken; `timeout`. Whatever goes wrong on the
 * way is told as an event too, and what was stored until then is collected.
 */
export async function takeTemplate(ctx: Ctx, order: TemplateOrder): Promise<Template> {
  await demandFreeName(ctx, order);
  const { teamId, name } = order;
  const eventTeam = teamId === PLATFORM_TEAM ? null : teamId;
  const told = {
    type: "template.snapshot.create" as const,
    teamId: eventTeam,
    resource: { id: name, type: "snapshot" as const },
    actor: eventActor(ctx.actor),
    metadata: { sandbox_id: order.sandboxId },
  };
  try {
    const template = await store(ctx, order, (at) => ({ ...told, outcome: "success", at }));
    ctx.defer(() => announce(ctx.teams, eventTeam));
    return template;
  } catch (error) {
    if (error instanceof Fault && REFUSALS.has(error.code)) throw error;
    const why = error instanceof Fault ? error.message : "something went wrong on our side";
    await commit(ctx.db, emit(ctx, { ...told, outcome: "error", error: why, at: ctx.now() }));
    ctx.defer(() => announce(ctx.teams, eventTeam));
    throw error;
  }
}

async function store(ctx: Ctx, order: TemplateOrder, event: (at: number) => NewTeamEvent): Promise<Template> {
  const { sandboxId, sandboxTeamId, action, ...about } = order;
  const uploadId = randomHex(10);
  const chunks = ctx.chunks.store(about.teamId);
  const until = ctx.now() + SNAPSHOT_DEADLINE_MS + MARGIN_MS;
  await chunks.begin(uploadId, until);
  try {
    const upload = { uploadId, teamId: about.teamId, deadlineMs: SNAPSHOT_DEADLINE_MS };
    const root = unwrap(await ctx.sandboxes.sandbox(sandboxId).snapshot(sandboxTeamId, upload));
    const id = ctx.newId("template");
    const { storedBytes } = unwrap(await chunks.finish(uploadId, root, id, until));
    const at = ctx.now();
    const template: Template = { ...about, id, sizeBytes: storedBytes, manifest: root, createdAt: at };
    await insert(ctx, template, action, event(at)).catch(async (error) => {
      await chunks.release(root, id);
      throw error;
    });
    // Until then its files are in doubt, and the directory is asked.
    await chunks.confirm(root, id);
    return template;
  } catch (error) {
    await chunks.abandon(uploadId);
    throw error;
  }
}

async function insert(ctx: Ctx, template: Template, action: AuditAction, event: NewTeamEvent): Promise<void> {
  const { id, name, teamId } = template;
  const inserted = ctx.db.insert(templates).values(template);
  const entry = audit(inTeam(ctx, teamId), action, id, { name, bytes: template.sizeBytes });
  await commit(ctx.db, inserted, entry, emit(ctx, event)).catch(async (error) => {
    // The unique index tells of a name that was taken meanwhile; any other failure is one.
    await demandFreeName(ctx, template);
    throw error;
  });
}

/** A name that the team has already, or the platform, is not free (platform R290, R291). */
async function demandFreeName({ db }: Ctx, { teamId, name }: { teamId: string; name: string }): Promise<void> {
  const [taken] = await db
    .select({ id: templates.id })
    .from(templates)
    .where(and(eq(templates.name, name), inArray(templates.teamId, [teamId, PLATFORM_TEAM])));
  if (taken) throw new Fault("template_name_taken", `there is a template ${name} already`);
}
