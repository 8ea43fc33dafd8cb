// The bare platform: a Worker and an object that do the storage work of an operation and nothing else.
import { DurableObject } from "cloudflare:workers";

export class BareObject extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, body TEXT)");
  }

  /** As many rows as a message that starts a run: message, run, state, two events, a step. */
  send(body) {
    const { sql } = this.ctx.storage;
    this.ctx.storage.transactionSync(() => {
      for (const kind of ["message", "run", "state", "queued", "started", "step"]) {
        sql.exec("INSERT INTO log (kind, body) VALUES (?, ?)", kind, body);
      }
    });
    return { runId: "run", status: "queued" };
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const body = await request.json();
    if (pathname === "/sessions") {
      const id = crypto.randomUUID();
      const row = env.DB.prepare("INSERT INTO rows (id, body) VALUES (?, ?)").bind(id, JSON.stringify(body));
      const audit = env.DB.prepare("INSERT INTO audit (id, body) VALUES (?, ?)").bind(id, "created");
      await env.DB.batch([row, audit]);
      return Response.json({ id }, { status: 201 });
    }
    const object = env.BARE.getByName(pathname);
    return Response.json(await object.send(JSON.stringify(body)), { status: 202 });
  },
};
