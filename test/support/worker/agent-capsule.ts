import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { unwrap } from "#kernel/fault";
import { sandboxes } from "#schema";
import { newSandbox, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";

export type Capsule = { id: string; teamId: string; agent: FakeAgent };

/** A team's capsule that runs on a fake agent of its own. */
export async function capsuleOnAgent(teamId: string, { timeoutSec = 0 } = {}): Promise<Capsule> {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const agent = await onlineHost();
  const own =
    "UPDATE hosts SET type = 'byoc', team_id = ? WHERE id = ? AND EXISTS (SELECT 1 FROM teams WHERE id = ? AND is_byoc)";
  await env.DB.prepare(own).bind(teamId, agent.hostId, teamId).run();
  const id = await newSandbox(teamId);
  await drizzle(env.DB).update(sandboxes).set({ timeoutSec }).where(eq(sandboxes.id, id));
  unwrap(await env.SANDBOX.getByName(id).start(teamId));
  return { id, teamId, agent };
}

/** What a fake agent was last sent inside of a sandbox. */
export const lastSent = ({ agent }: Capsule) => JSON.parse(agent.seen.at(-1)?.body ?? "null");
