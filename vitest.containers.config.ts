import { defineConfig } from "vitest/config";

/** Tests that need a Docker engine; `npm run test:containers` starts one and runs them. */
export default defineConfig({
  test: {
    name: "containers",
    include: ["test/containers/**/*.test.ts"],
    environment: "node",
    testTimeout: 90_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
