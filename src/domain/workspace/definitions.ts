import type { Ctx } from "#domain/context";
import type { Workspace } from "#domain/workspace/repo";
import { Fault } from "#kernel/fault";
import type { Json } from "#kernel/json";

/** Files that a new workspace may bring, as the runtime contract names them. */
export type Definitions = {
  agentsMd?: string | undefined;
  /** Tool servers by name; the settings are kept as given. */
  toolServers?: Record<string, Json> | undefined;
  skills?: readonly { name: string; content: string }[] | undefined;
};

const SKILL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Throws `invalid` for a skill whose name cannot be a folder. */
export function checkDefinitions({ skills = [] }: Definitions): void {
  const wrong = skills.find(({ name }) => !SKILL_NAME.test(name));
  if (wrong) throw new Fault("invalid", "the name of a skill is 1 to 100 letters, digits, dots, dashes or underscores");
}

/** Writes the files into the workspace's sandbox, which it starts for that. Does nothing when there are none. */
export async function writeDefinitions(ctx: Ctx, workspace: Workspace, definitions: Definitions): Promise<void> {
  const files = filesOf(definitions);
  if (files.length === 0) return;
  const { teamId, sandboxId } = workspace;
  const link = ctx.sandboxes.link(teamId, sandboxId);
  for (const { path, text } of files) await link.write(path, text, { overwrite: true });
}

function filesOf({ agentsMd, toolServers, skills = [] }: Definitions): { path: string; text: string }[] {
  return [
    ...(agentsMd === undefined ? [] : [{ path: "AGENTS.md", text: agentsMd }]),
    // JSON is YAML too, so the settings file needs no other writer.
    ...(toolServers && Object.keys(toolServers).length > 0
      ? [{ path: ".openharness/tools/settings.yaml", text: `${JSON.stringify(toolServers, null, 2)}\n` }]
      : []),
    ...skills.map(({ name, content }) => ({ path: `.openharness/skills/${name}/SKILL.md`, text: content })),
  ];
}
