import type { Row } from "../rows.ts";

export const templates: Record<string, Row> = {};
