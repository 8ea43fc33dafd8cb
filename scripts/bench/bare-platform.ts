import { readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";

/** Serves the bare platform beside the product, on the same runtime and disk. */
export async function startBarePlatform(dataDir: string): Promise<{ url: string; stop(): Promise<void> }> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: "bare",
      cf: false,
      host: "127.0.0.1",
      port: 0,
      log: new Log(LogLevel.NONE),
      logRequests: false,
      telemetry: { enabled: false },
      resourcePersistencePath: join(dataDir, "bare"),
      compatibilityDate: "2026-10-01",
      modules: [
        {
          type: "ESModule",
          path: "bare.js",
          contents: readFileSync(join(import.meta.dirname, "bare-worker.js"), "utf8"),
        },
      ],
      durableObjects: { BARE: { className: "BareObject", useSQLite: true } },
      d1Databases: { DB: "bare" },
    }),
  );
  const url = (await miniflare.ready).origin;
  const db = await miniflare.getD1Database("DB");
  await db.exec("CREATE TABLE rows (id TEXT PRIMARY KEY, body TEXT)");
  await db.exec("CREATE TABLE audit (id TEXT PRIMARY KEY, body TEXT)");
  return { url, stop: () => miniflare.dispose() };
}
