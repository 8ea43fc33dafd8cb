import { z } from "zod";
import { HOUR } from "#kernel/time";
import { Failure } from "./failure.ts";
import type { StateFolder } from "./state.ts";

/**
 * What outlives the agent. `slot` is the sandbox's user; a wiped one has none and is kept to fence old tokens. `place`
 * names its files and groups; null means that they bear its id, as those of every sandbox that was no spare do. `files`
 * tells whether they are those it shall begin with: ones that are still coming are not used.
 */
const SandboxRecord = z.object({
  id: z.string(),
  generation: z.int(),
  slot: z.int().nullable(),
  place: z.string().nullable().default(null),
  files: z.enum(["none", "filling", "there"]).default("there"),
  wipedAt: z.int().nullable(),
});
export type SandboxRecord = z.infer<typeof SandboxRecord>;

/** Far longer than any token lives. */
const FENCE_KEPT_MS = HOUR;
const FOLDER = "sandboxes";

/** The records of this machine's sandboxes, and the fence of generations that they are. */
export class SandboxRecords {
  readonly #state: StateFolder;
  readonly #records = new Map<string, SandboxRecord>();

  constructor(state: StateFolder) {
    this.#state = state;
    for (const name of state.names(FOLDER)) {
      const record = SandboxRecord.safeParse(state.read(`${FOLDER}/${name}`));
      if (record.success) this.#records.set(record.data.id, record.data);
    }
    this.forgetWiped();
  }

  get(id: string): SandboxRecord | undefined {
    return this.#records.get(id);
  }

  get all(): SandboxRecord[] {
    return [...this.#records.values()];
  }

  /** The record of a sandbox; `stale_generation` when a newer lease of it is known. */
  fence(id: string, generation: number): SandboxRecord | undefined {
    const record = this.#records.get(id);
    if (record && generation < record.generation) {
      throw new Failure("stale_generation", "a newer generation of this sandbox is known");
    }
    return record;
  }

  save(record: SandboxRecord): void {
    this.#state.write(`${FOLDER}/${record.id}`, record);
    this.#records.set(record.id, record);
  }

  /** Records of wiped sandboxes go once no token for them can be valid any more. */
  forgetWiped(): void {
    for (const { id, wipedAt } of this.all) {
      if (wipedAt === null || wipedAt > Date.now() - FENCE_KEPT_MS) continue;
      this.#state.remove(`${FOLDER}/${id}`);
      this.#records.delete(id);
    }
  }
}
