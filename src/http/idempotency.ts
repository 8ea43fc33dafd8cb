import type { Ctx } from "#domain/context";
import type { IdempotencyAnswer } from "#domain/principal/ports";
import { sha256 } from "#kernel/digest";
import { Fault, unwrap } from "#kernel/fault";
import { type IdKind, makeId } from "#kernel/id";
import { canonicalJson, type JsonObject } from "#kernel/json";

const SANE_KEY = /^[\x21-\x7e]{1,255}$/;
const SEED_WORDS = 4;

/** The header in documents; it is optional everywhere. */
export const IDEMPOTENCY_PARAMETER = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "Makes a repeat of this request answer what the first one answered.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
} as const;

/** The `Idempotency-Key` of a request; throws `invalid` for one that is empty, long, or not printable ASCII. */
export function idempotencyKeyOf(header: string | undefined): string | null {
  const key = header ?? null;
  if (key !== null && !SANE_KEY.test(key)) {
    throw new Fault("invalid", "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces");
  }
  return key;
}

/** What two requests must share to count as the same one. */
export const fingerprintOf = (body: unknown): Promise<string> => sha256(canonicalJson(body));

type Answer = { status: number; body: unknown };
type Work = (ctx: Ctx) => Promise<Answer>;

/** A request as far as it matters whether it is a repeat. `scope` is its method and path. */
type Keyed = { key: string; scope: string; body: unknown; secret: boolean };

/**
 * Does `work` at most once per caller and key. A repeat with the same body gets the
 * stored answer; after a crash between effect and stored answer it does the work again at the same time and with the
 * same ids, which makes the same rows.
 */
export async function once(ctx: Ctx, request: Keyed, work: Work): Promise<Answer & { replayed: boolean }> {
  const principal = ctx.principals.principal(ctx.actor.principal);
  const key = await sha256([ctx.actor.teamId, request.scope, request.key].join("\n"));
  const claim = unwrap(await principal.claim(key, await fingerprintOf(request.body)));
  const box = answerBox(ctx, key, request.secret);
  if (claim.state === "answered") return { ...(await box.open(claim.answer)), replayed: true };
  const { seed, at } = claim;
  try {
    const { status, body } = await work({ ...ctx, now: () => at, newId: idsFrom(seed, at) });
    await principal.settle(key, await box.close({ status, body }));
    return { status, body, replayed: false };
  } catch (error) {
    // A creating verb that refuses has left nothing behind; any other error may have come after the effect.
    await principal.release(key, error instanceof Fault ? "none" : "unknown");
    throw error;
  }
}

/** How an answer is kept for a repeat: as it is, or sealed when it shows a secret. */
function answerBox({ secrets }: Ctx, key: string, secret: boolean) {
  return {
    async close({ status, body }: Answer): Promise<IdempotencyAnswer> {
      if (!secret) return { status, body: (body ?? null) as JsonObject | null };
      return { status, body: { sealed: await secrets.seal(JSON.stringify(body), key) } };
    },
    async open({ status, body }: IdempotencyAnswer): Promise<Answer> {
      return secret ? { status, body: JSON.parse(await secrets.open(String(body?.sealed), key)) } : { status, body };
    },
  };
}

/** The same sequence of ids for the same seed (sfc32 over its four words); as unguessable as the seed. */
export function idsFrom(seed: string, at: number): (kind: IdKind) => string {
  const words = Array.from({ length: SEED_WORDS }, (_, i) => Number.parseInt(seed.slice(i * 8, i * 8 + 8), 16) | 0);
  let [a = 0, b = 0, c = 0, counter = 0] = words;
  const nextByte = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 24) & 0xff;
  };
  for (let i = 0; i < 12; i++) nextByte();
  return (kind) => makeId(kind, at, Uint8Array.from({ length: 10 }, nextByte));
}
