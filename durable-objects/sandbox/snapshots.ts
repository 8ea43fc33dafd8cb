import type { SnapshotUpload } from "#domain/sandbox/ports";
import type { SandboxState } from "#domain/sandbox/state";
import { type Result, refuse } from "#kernel/fault";
import { chunkPort } from "#platform/chunks/port";
import { sandboxBackend } from "#platform/sandbox/port";

/** The snapshot of one sandbox that is being taken; while it is, there is no other, and no pause (platform A6). */
export class SandboxSnapshots {
  readonly #env: Env;
  #upload: string | undefined;

  constructor(env: Env) {
    this.#env = env;
  }

  get isTaking(): boolean {
    return this.#upload !== undefined;
  }

  /** `state` tells what the sandbox is at that moment: one that was stopped meanwhile has no snapshot. */
  async take(sandboxId: string, state: () => SandboxState, upload: SnapshotUpload): Promise<Result<string>> {
    const { status, hostId, address, generation } = state();
    if (status !== "running" || hostId === null || address === null) {
      return refuse("sandbox_not_running", `the sandbox is ${status}`);
    }
    if (this.isTaking) return refuse("sandbox_not_running", "another snapshot of the sandbox is being taken");
    const { uploadId, teamId, deadlineMs } = upload;
    this.#upload = uploadId;
    try {
      const token = await chunkPort(this.#env).issueToken({ act: "put", teamId, hostId, uploadId }, deadlineMs);
      const backend = sandboxBackend(this.#env, { hostId, address });
      const taken = await backend.snapshot(sandboxId, generation, token, deadlineMs);
      if (state().generation === generation) return taken;
      return refuse("sandbox_not_running", "the sandbox was stopped while its snapshot was taken");
    } finally {
      this.#upload = undefined;
    }
  }
}
