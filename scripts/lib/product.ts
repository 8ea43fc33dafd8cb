import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { freePort } from "#scripts/lib/free-port";
import { frontDoor } from "#scripts/lib/front-door";
import { DIST, ROOT } from "#scripts/lib/paths";
import { PUBLIC_INTERNET } from "#scripts/lib/public-internet";
import { beQuiet } from "#scripts/lib/quiet";

export type ProductOptions = {
  dataDir: string;
  host: string;
  port: number;
  /** Settings and secrets, over those of wrangler.toml. */
  vars: Record<string, string>;
  /** File of the bundle to serve; what the build makes when absent. */
  bundle?: string;
  /** Receives every log line of the Worker. */
  onLog?: (line: string, level: string) => void;
};

export type Product = { url: string; miniflare: Miniflare; stop(): Promise<void> };

const SWEEP_MS = 60_000;

/**
 * Serves the built bundle on this machine, as `npm start` does: Miniflare with the bindings of wrangler.toml, D1
 * migrated, state under `dataDir`, and the cron trigger fired once a minute.
 */
export async function startProduct(options: ProductOptions): Promise<Product> {
  beQuiet();
  const { workerOptions } = unstable_getMiniflareWorkerOptions(join(ROOT, "wrangler.toml"));
  mkdirSync(options.dataDir, { recursive: true, mode: 0o711 });
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  const address = `${host}:${options.port || (await freePort(0, options.host))}`;
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      // Miniflare's own listener is for this process; callers come in by the front door.
      host: "127.0.0.1",
      port: 0,
      cf: false,
      unsafeTriggerHandlers: true,
      log: new Log(LogLevel.NONE),
      logRequests: false,
      telemetry: { enabled: false },
      resourcePersistencePath: join(options.dataDir, "state"),
      handleStructuredLogs: ({ message, level }) => options.onLog?.(message, level),
      ...workerOptions,
      name: "longshore",
      unsafeBindings: [frontDoor({ address, forwarded: Boolean(options.vars.TRUSTED_PROXY_HEADER) })],
      modules: [
        {
          type: "ESModule",
          path: "worker.js",
          contents: readFileSync(options.bundle ?? join(DIST, "worker", "worker.js"), "utf8"),
        },
      ],
      serviceBindings: { OUTBOUND: PUBLIC_INTERNET },
      bindings: { ...(workerOptions.bindings as Record<string, string>), ...options.vars },
    }),
  );
  const internal = (await miniflare.ready).origin;
  const url = `http://${address.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, "127.0.0.1")}`;
  await migrate(miniflare);
  const sweep = setInterval(() => {
    miniflare.dispatchFetch(`${internal}/cdn-cgi/handler/scheduled`).catch(() => {});
  }, SWEEP_MS);
  sweep.unref();
  return {
    url,
    miniflare,
    stop: async () => {
      clearInterval(sweep);
      await miniflare.dispose();
    },
  };
}

/** Applies the migrations that D1 has not seen, each in one batch, in the table wrangler uses for the same. */
async function migrate(miniflare: Miniflare): Promise<void> {
  const db = await miniflare.getD1Database("DB");
  await db.exec(
    "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
  );
  const { results } = await db.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const done = new Set(results.map(({ name }) => name));
  const folder = join(ROOT, "migrations");
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith(".sql") && !done.has(file))
    .sort()) {
    const statements = readFileSync(join(folder, name), "utf8").split("--> statement-breakpoint");
    const noted = db.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name);
    await db.batch([...statements.map((sql) => db.prepare(sql)), noted]);
  }
}
