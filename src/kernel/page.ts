import { Fault } from "#kernel/fault";

export type Page<T> = { items: T[]; nextCursor?: string };

/** Pages by decimal offset, as contracts with numeric cursors want it. A cursor that is not a number reads as 0. */
export type OffsetPage = { pageSize: number; offset: number };

export function offsetPage(pageSize: number, cursor: string | undefined): OffsetPage {
  const offset = cursor !== undefined && /^[0-9]{1,9}$/.test(cursor) ? Number(cursor) : 0;
  return { pageSize, offset };
}

/** A page by its number, counted from 1, as contracts without cursors want it. */
export const numberedPage = (page: number, pageSize: number): OffsetPage => ({
  pageSize,
  offset: (page - 1) * pageSize,
});

/** A page of a list whose length is told. */
export type Counted<T> = { items: T[]; total: number };

/** Cuts a page from `rows`, which were read with one row more than the page holds. */
export function cutOffsetPage<T>(rows: readonly T[], { pageSize, offset }: OffsetPage): Page<T> {
  if (rows.length <= pageSize) return { items: [...rows] };
  return { items: rows.slice(0, pageSize), nextCursor: String(offset + pageSize) };
}

/** An opaque keyset cursor. It holds only what the client has already seen. */
export function encodeCursor(key: Record<string, string | number>): string {
  return btoa(JSON.stringify(key)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The key inside a cursor made by `encodeCursor`; throws `invalid_cursor` for anything else. */
export function decodeCursor(cursor: string): Record<string, unknown> {
  try {
    const key: unknown = JSON.parse(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof key === "object" && key !== null && !Array.isArray(key)) return key as Record<string, unknown>;
  } catch {}
  throw new Fault("invalid_cursor", "the cursor was not issued by this list");
}
