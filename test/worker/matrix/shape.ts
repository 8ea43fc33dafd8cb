import { expect } from "vitest";
import { answerSchema, type Operation } from "#http/operation";
import { routeOf } from "#http/route";
import type { Surface } from "#http/surface";

/** Statuses that any operation may answer without naming them (platform R3). */
const GENERIC = [400, 401, 403, 404, 413, 500, 502, 503, 504];

type Answer = { status: number; headers: Headers; text: string };

/** Every answer has a status of the document, and the body its schema says (platform R2, R3, R5, R21). */
export function checkShape(surface: Surface, op: Operation, { status, headers, text }: Answer): void {
  const where = `${op.method} ${op.path}: ${status} ${text.slice(0, 300)}`;
  expect(status, where).toBeLessThan(status === 503 ? 504 : 500);
  const documented = Object.keys(routeOf(surface, op).responses).map(Number);
  expect([...documented, ...GENERIC], where).toContain(status);
  const media = headers.get("content-type");
  if (status === 204 || status === 302) {
    expect([text, media], where).toEqual(["", null]);
    return;
  }
  const succeeded = [op.returns.status, ...op.also.map((one) => one.status)].includes(status as 200);
  if (succeeded && op.returns.media) {
    expect(media, where).toBe(op.returns.media);
    return;
  }
  expect(media, where).toBe("application/json");
  const schema = succeeded ? answerSchema(op, status) : surface.faultBody;
  const parsed = schema.safeParse(JSON.parse(text));
  expect(parsed.error, where).toBeUndefined();
}
