import type { Row } from "../rows.ts";

export const metrics: Record<string, Row> = {};
