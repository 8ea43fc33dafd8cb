import { z } from "zod";
import type { Template } from "#domain/template/repo";
import { type SandboxSetup, StartCommand } from "#protocol/host-agent";

/** Key in a template's metadata. */
const KEY = "start";

const Commands = z.array(StartCommand);

/** The entry of a template's metadata that keeps what its sandboxes start at each boot. */
export const startEntry = (commands: readonly StartCommand[]): Record<string, string> =>
  commands.length > 0 ? { [KEY]: JSON.stringify(commands) } : {};

/** What a template's build left to run in its sandboxes (platform R419); what cannot be read is nothing. */
export function setupOf({ defaultEnv: env, metadata }: Pick<Template, "defaultEnv" | "metadata">): SandboxSetup {
  return { env, start: read(metadata[KEY]) };
}

function read(text: string | undefined): StartCommand[] {
  try {
    return Commands.parse(JSON.parse(text ?? "[]"));
  } catch {
    return [];
  }
}
