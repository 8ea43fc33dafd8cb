import type { Row } from "../rows.ts";

export const processes: Record<string, Row> = {};
