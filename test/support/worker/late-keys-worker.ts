import type { SendInput, SendReceipt } from "#domain/session/ports";
import { ok, type Result } from "#kernel/fault";
import { SessionObject as Correct } from "#objects/session/session-object";
import type { Wire } from "#platform/session/wire";

export * from "../../../src/worker.ts";
export { default } from "../../../src/worker.ts";

const LATE_MS = 40;

/** The product with one deliberate fault: an idempotency key is stored some time after its message. */
export class SessionObject extends Correct {
  override async send(input: Wire<SendInput>): Promise<Result<SendReceipt>> {
    if (!input.idempotency) return super.send(input);
    const key = `late:${input.idempotency.key}`;
    const known = await this.ctx.storage.get<SendReceipt>(key);
    if (known) return ok(known);
    const sent = await super.send({ ...input, idempotency: null });
    if (sent.ok) setTimeout(() => this.ctx.storage.put(key, sent.value), LATE_MS);
    return sent;
  }
}
