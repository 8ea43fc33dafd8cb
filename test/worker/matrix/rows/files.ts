import type { Row } from "../rows.ts";

export const files: Record<string, Row> = {};
