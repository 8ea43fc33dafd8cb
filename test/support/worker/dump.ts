import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

export type StoredRow = Record<string, unknown>;

const TABLES =
  "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'd1_migrations'";

/** Every row of D1 by its table and rowid. */
export async function dumpD1(): Promise<Map<string, StoredRow>> {
  const { results } = await env.DB.prepare(TABLES).all<{ name: string }>();
  const tables = results.map(({ name }) => env.DB.prepare(`SELECT rowid AS "#", * FROM "${name}"`));
  const contents = await env.DB.batch<StoredRow>(tables);
  return new Map(
    contents.flatMap((content, n) =>
      content.results.map(({ "#": at, ...row }): [string, StoredRow] => [`${results[n]?.name} ${at}`, row]),
    ),
  );
}

const NAMESPACES = ["PRINCIPAL", "HOST", "TEAM", "SANDBOX", "SESSION"] as const;

/** Every row of every durable object, by namespace, object and table. */
export async function dumpObjects(): Promise<Map<string, StoredRow[]>> {
  const dump = new Map<string, StoredRow[]>();
  for (const name of NAMESPACES) {
    const namespace = env[name] as unknown as DurableObjectNamespace;
    for (const id of await listDurableObjectIds(namespace)) {
      await runInDurableObject(namespace.get(id), async (_, { storage }) => {
        for (const table of storage.sql.exec<{ name: string }>(TABLES).toArray()) {
          const rows = storage.sql.exec(`SELECT * FROM "${table.name}"`).toArray();
          dump.set(`${name} ${id} ${table.name}`, rows);
        }
        dump.set(`${name} ${id} pairs`, [Object.fromEntries(await storage.list())]);
      });
    }
  }
  return dump;
}
