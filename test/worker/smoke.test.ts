import { env } from "cloudflare:workers";
import { expect, test } from "vitest";

test("the migrations apply", async () => {
  const { results } = await env.DB.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  expect(results.map((row) => row.name)).toContain("workspaces");
});
