type Details = Record<string, unknown>;

const MAX_TEXT = 500;
const MAX_ITEMS = 50;
const MAX_DEPTH = 3;

/**
 * Details of an entry as they are stored. An entry is a row of the batch that makes the change, so the change is never
 * without it; in return nothing about the details may make the batch fail (platform R388): whatever they hold becomes
 * plain JSON of bounded size.
 */
export const boundedDetails = (details: Details): Details => boundedObject(details, MAX_DEPTH);

function boundedObject(value: object, depth: number): Details {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.slice(0, MAX_ITEMS).map(([key, item]) => [cut(key), bounded(item, depth - 1)]));
}

function bounded(value: unknown, depth: number): unknown {
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) return value;
  if (typeof value === "object" && depth <= 0) return "…";
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => bounded(item, depth - 1));
  if (typeof value === "object") return boundedObject(value, depth);
  return cut(String(value));
}

const cut = (text: string): string => {
  const whole = text.toWellFormed();
  return whole.length <= MAX_TEXT ? whole : `${whole.slice(0, MAX_TEXT).toWellFormed()}…`;
};
