import { startProduct } from "#scripts/lib/product";
import { localSecrets } from "#scripts/lib/secrets";

/**
 * The product as a process of its own, to be killed: `serve.ts DATA_DIR PORT VARS_JSON [BUNDLE]`.
 * Prints its address, and answers SQL on standard input from D1, which touches no object.
 */
const [dataDir = "", port = "0", vars = "{}", bundle] = process.argv.slice(2);

const product = await startProduct({
  dataDir,
  host: "127.0.0.1",
  port: Number(port),
  vars: { ...(await localSecrets(dataDir)), ...(JSON.parse(vars) as Record<string, string>) },
  ...(bundle && { bundle }),
});
const db = await product.miniflare.getD1Database("DB");
process.on("message", async ({ id, sql }: { id: number; sql: string }) => {
  const { results } = await db.prepare(sql).all();
  process.send?.({ id, results });
});
process.once("disconnect", () => product.stop().finally(() => process.exit(0)));
process.send?.({ ready: product.url });
