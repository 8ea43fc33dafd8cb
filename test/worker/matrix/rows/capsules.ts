import type { Row } from "../rows.ts";

export const capsules: Record<string, Row> = {};
