import { z } from "zod";
import { operation } from "#http/operation";
import { VERSION } from "#http/version";

export const healthOperations = [
  operation({
    id: "health",
    method: "get",
    path: "/health",
    tag: "health",
    summary: "Whether the API is there, and its version",
    description: "It looks at nothing behind the API; `/readyz` does.",
    permission: null,
    returns: { status: 200, schema: z.object({ status: z.literal("ok"), version: z.string() }) },
    faults: [],
    run: async () => ({ status: "ok" as const, version: VERSION }),
  }),
];
