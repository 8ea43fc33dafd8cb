import { z } from "zod";
import type { Outcome } from "#http/operation";
import { type Counted, numberedPage, type OffsetPage } from "#kernel/page";

const MAX_PAGE = 1_000_000;

/** The page parameters of the administrators' lists (platform A13). */
export const PageQuery = z.object({
  page: z.coerce.number().int().min(1).max(MAX_PAGE).default(1),
  per_page: z.coerce.number().int().min(1).max(100).default(100),
});

export const toPage = ({ page, per_page }: z.output<typeof PageQuery>): OffsetPage => numberedPage(page, per_page);

/** The items of a page; its header tells how many there are in all. */
export function answerPage<T>({ items, total }: Counted<T>, { headers }: Outcome): T[] {
  headers.set("x-total-count", String(total));
  return items;
}
