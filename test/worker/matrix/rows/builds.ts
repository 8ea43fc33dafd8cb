import type { Row } from "../rows.ts";

export const builds: Record<string, Row> = {};
