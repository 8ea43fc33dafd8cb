import { DurableObject } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import type { ChunkStoreHandle, Stored } from "#domain/chunk/ports";
import { objectName } from "#domain/chunk/values";
import { isTemplateOf } from "#domain/template/repo";
import { collectBytes } from "#kernel/bytes";
import { ok, type Result, refuse } from "#kernel/fault";
import { isId } from "#kernel/id";
import { createLog } from "#kernel/log";
import { CHUNK_MIGRATIONS, ChunkLedger, type ChunkObject } from "#objects/chunks/chunk-ledger";
import { arm } from "#objects/kit/arm";
import { migrate } from "#objects/kit/migrate";
import { MAX_CHUNK_BYTES, type Manifest, parseManifest } from "#protocol/chunks";

const RETRY_MS = 30_000;
/** Objects that R2 deletes in one call. */
const DELETED_AT_ONCE = 1000;

/** Shell around the ledger of one team's chunks: it asks the directory and deletes from R2 what the ledger gives up. */
export class ChunkStoreObject extends DurableObject<Env> implements ChunkStoreHandle {
  readonly #ledger = new ChunkLedger(this.ctx.storage.sql);

  #armedFor: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, CHUNK_MIGRATIONS);
    this.#arm();
  }

  async begin(uploadId: string, until: number): Promise<void> {
    this.#change((ledger) => ledger.begin(uploadId, until));
  }

  async missing(uploadId: string, hashes: string[]): Promise<Result<string[]>> {
    return this.#change((ledger) => {
      if (!ledger.isOpen(uploadId, Date.now())) return refuse("unauthenticated", "the upload is over");
      return ok(ledger.claim(uploadId, hashes));
    });
  }

  async stored(uploadId: string, hash: string, sizes: { bytes: number; storedBytes: number }): Promise<Result<null>> {
    return this.#change((ledger) => {
      const object = { hash, upload: uploadId };
      const now = Date.now();
      if (ledger.isOpen(uploadId, now) && ledger.isClaimed(uploadId, hash)) {
        ledger.add(object, sizes, now);
        return ok(null);
      }
      ledger.discard(object, now);
      return refuse("unauthenticated", "the upload does not send this chunk");
    });
  }

  async finish(uploadId: string, root: string, templateId: string, until: number): Promise<Result<Stored>> {
    const manifest = await this.#readManifest(root);
    return this.#change((ledger) => {
      const now = Date.now();
      const hashes = manifest?.chunks.map(({ hash }) => hash) ?? [];
      const complete = manifest && ledger.isOpen(uploadId, now) && ledger.addRoot(root, hashes);
      if (complete) ledger.hold(root, templateId, until);
      ledger.close(uploadId, now);
      ledger.sweep(now);
      if (!complete) return refuse("sandbox_failed", "the host has not sent all of the snapshot");
      const { bytes, entries } = manifest;
      return ok({ bytes, entries, storedBytes: ledger.storedBytes(root) });
    });
  }

  async abandon(uploadId: string): Promise<void> {
    this.#change((ledger) => {
      ledger.close(uploadId, Date.now());
      ledger.sweep(Date.now());
    });
  }

  async hold(root: string, holder: string, until: number): Promise<Result<null>> {
    return this.#change((ledger) => {
      if (!ledger.isPart(root, root)) return refuse("template_not_found", "the files of the template are gone");
      ledger.hold(root, holder, until);
      return ok(null);
    });
  }

  async confirm(root: string, templateId: string): Promise<void> {
    this.#change((ledger) => ledger.keepUntil(root, templateId, null));
  }

  async doubt(root: string, templateId: string, at: number): Promise<void> {
    this.#change((ledger) => ledger.keepUntil(root, templateId, at));
  }

  async release(root: string, holder: string): Promise<void> {
    this.#change((ledger) => {
      ledger.release(root, holder);
      ledger.sweep(Date.now());
    });
  }

  async objectOf(root: string, hash: string): Promise<string | undefined> {
    const object = this.#ledger.isPart(root, hash) ? this.#ledger.objectOf(hash) : undefined;
    return object && this.#name(object);
  }

  /** The platform stops calling after some failures, so nothing escapes and the alarm is always set again (R9). */
  override async alarm(): Promise<void> {
    this.#armedFor = null;
    try {
      await this.#settleHolds();
      this.#change((ledger) => {
        ledger.closeExpired(Date.now());
        ledger.sweep(Date.now());
      });
      await this.#deleteGarbage();
      this.#arm();
    } catch (error) {
      createLog(this.env.LOG_LEVEL).error("chunks were not collected", { space: this.ctx.id.name, error });
      await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    }
  }

  /** A hold in doubt is a template's whose commit or deletion was cut: the directory knows which. Others just end. */
  async #settleHolds(): Promise<void> {
    for (const { root, holder } of this.#ledger.due(Date.now())) {
      const isKept = isId("template", holder) && (await isTemplateOf(drizzle(this.env.DB), holder, root));
      this.#change((ledger) => (isKept ? ledger.keepUntil(root, holder, null) : ledger.release(root, holder)));
    }
  }

  /** An object is never written again under its name, so a deletion that is repeated or late does no harm. */
  async #deleteGarbage(): Promise<void> {
    for (;;) {
      const objects = this.#ledger.garbage(Date.now(), DELETED_AT_ONCE);
      if (objects.length === 0) return;
      await this.env.FILES.delete(objects.map((object) => this.#name(object)));
      this.#change((ledger) => {
        for (const object of objects) ledger.forget(object);
      });
    }
  }

  async #readManifest(root: string): Promise<Manifest | undefined> {
    const object = this.#ledger.objectOf(root);
    const found = object && (await this.env.FILES.get(this.#name(object)));
    if (!found) return undefined;
    const bytes = await collectBytes(found.body.pipeThrough(new DecompressionStream("gzip")), MAX_CHUNK_BYTES);
    return bytes && parseManifest(new TextDecoder().decode(bytes));
  }

  #change<T>(work: (ledger: ChunkLedger) => T): T {
    const result = this.ctx.storage.transactionSync(() => work(this.#ledger));
    this.#arm();
    return result;
  }

  #arm(): void {
    const next = this.#ledger.next();
    if (next === this.#armedFor) return;
    this.#armedFor = next;
    arm(this.ctx, next);
  }

  /** The object is named by its team, or as the platform's, which is also how its chunks are. */
  #name({ hash, upload }: ChunkObject): string {
    return objectName(this.ctx.id.name ?? "", hash, upload);
  }
}
