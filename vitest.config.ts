import { generateKeyPairSync, randomBytes } from "node:crypto";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { PUBLIC_INTERNET } from "./scripts/lib/public-internet.ts";

const node = (name: string, testTimeout: number) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], environment: "node" as const, testTimeout },
});

const SIGNING_KEY = JSON.stringify(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }));
const ENCRYPTION_KEY = randomBytes(32).toString("base64");

export default defineConfig(async () => ({
  test: {
    projects: [
      node("unit", 20_000),
      { ...node("host", 60_000), test: { ...node("host", 60_000).test, fileParallelism: false } },
      { ...node("e2e", 180_000), test: { ...node("e2e", 180_000).test, fileParallelism: false } },
      {
        plugins: [
          cloudflareTest(async ({ inject }) => {
            const receiver = `127.0.0.1:${inject<number>("receiverPort")}`;
            return {
              remoteBindings: false,
              wrangler: { configPath: "./wrangler.toml" },
              miniflare: {
                bindings: {
                  TEST_MIGRATIONS: await readD1Migrations("migrations"),
                  LOG_LEVEL: "error",
                  SIGNING_KEY,
                  ENCRYPTION_KEY,
                  OUTBOUND_ALLOW: receiver,
                  TELEGRAM_API_URL: `http://${receiver}`,
                },
                serviceBindings: { OUTBOUND: PUBLIC_INTERNET },
              },
            };
          }),
        ],
        test: {
          name: "worker",
          include: ["test/worker/**/*.test.ts"],
          globalSetup: ["model-server", "oauth-server", "receiver"].map((one) => `./test/support/node/${one}-setup.ts`),
          setupFiles: ["./test/support/worker/setup.ts"],
          testTimeout: 30_000,
        },
      },
    ],
  },
}));
