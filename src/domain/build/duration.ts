const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
type Unit = keyof typeof UNIT_MS;

const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;

/** Milliseconds of a length of time such as `30s`, `1m30s`, `500ms`, or plain `0`; undefined for anything else. Pure. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!WHOLE.test(text)) return undefined;
  let ms = 0;
  for (const [, amount = "", unit = "s"] of text.matchAll(PART)) ms += Number(amount) * UNIT_MS[unit as Unit];
  return Number.isSafeInteger(Math.round(ms)) ? Math.round(ms) : undefined;
}
