import { spaceOf } from "#domain/chunk/values";
import type { Db } from "#domain/context";
import type { SandboxBackend, SandboxSpec } from "#domain/sandbox/ports";
import { findTemplateById } from "#domain/template/repo";
import { setupOf } from "#domain/template/setup";
import { ok, type Result, refuse } from "#kernel/fault";
import { HOUR, SECOND } from "#kernel/time";
import { chunkPort } from "#platform/chunks/port";
import type { SandboxSetup, SandboxSource } from "#protocol/host-agent";

/** How long a machine may take to fetch all files of a template. */
const LIFE_MS = HOUR;
const LOOK_EVERY_MS = 2 * SECOND;
const MB = 1024 * 1024;

type Place = { hostId: string };

/** The files that a sandbox begins with, null for none, and what its template leaves to run in it. */
export type Beginning = { source: SandboxSource | null; setup: SandboxSetup | null };

/**
 * What a sandbox begins with. Its files are held for it while they are fetched. A template that was deleted before the
 * sandbox first started is `sandbox_failed` (platform R303).
 */
export async function beginningOf(env: Env, db: Db, spec: SandboxSpec, { hostId }: Place): Promise<Result<Beginning>> {
  if (spec.templateId === null) return ok({ source: null, setup: null });
  const template = await findTemplateById(db, spec.teamId, spec.templateId);
  if (template?.manifest === null) return ok({ source: null, setup: setupOf(template) });
  const gone = refuse("sandbox_failed", "the template was deleted before the sandbox first started");
  if (!template) return gone;
  const { manifest: root, teamId } = template;
  const chunks = chunkPort(env);
  const held = await chunks.store(teamId).hold(root, spec.id, Date.now() + LIFE_MS);
  if (!held.ok) return gone;
  const token = await chunks.issueToken({ act: "get", teamId, hostId, root }, LIFE_MS);
  return ok({ source: { root, token, owner: spaceOf(teamId) }, setup: setupOf(template) });
}

/** Watches the files of a sandbox come, until `done`; tells in words, and only while more has come. */
export async function watchFilling(
  backend: SandboxBackend,
  { id, generation }: { id: string; generation: number },
  done: Promise<unknown>,
  tell: (message: string) => void,
): Promise<void> {
  let isDone = false;
  const ended = done.then(
    () => undefined,
    () => undefined,
  );
  void ended.then(() => {
    isDone = true;
  });
  let last = -1;
  while (!isDone) {
    await Promise.race([ended, scheduler.wait(LOOK_EVERY_MS)]);
    if (isDone) return;
    const answer = await backend.filling(id, generation);
    if (isDone || !answer.ok || !answer.value || answer.value.bytes === last) continue;
    const { bytes, of } = answer.value;
    last = bytes;
    tell(`its files are coming: ${Math.floor(bytes / MB)} of ${Math.ceil(of / MB)} MiB`);
  }
}
