import type { Db } from "#domain/context";
import { PUBLIC_LABEL } from "#domain/preview/values";
import { listSandboxesById } from "#domain/sandbox/repo";

/** The team of a sandbox that opens its ports to everybody; undefined of any other, and of one that does not exist. */
export async function findPublicTeam(db: Db, sandboxId: string): Promise<string | undefined> {
  const [sandbox] = await listSandboxesById(db, [sandboxId]);
  return sandbox?.metadata[PUBLIC_LABEL.name] === PUBLIC_LABEL.value ? sandbox.teamId : undefined;
}
