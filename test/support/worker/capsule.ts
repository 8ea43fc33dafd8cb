import { env } from "cloudflare:workers";
import { unwrap } from "#kernel/fault";
import { newSandbox, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import { FakeFiles } from "#test/worker/fake-files";
import { type Answer, request, type Tenant, tenant } from "#test/worker/harness";

export type Capsule = {
  id: string;
  agent: FakeAgent;
  inside: FakeFiles;
  t: Tenant;
  /** A file operation of a capsule, by default of this one; `type` is the content type of what is not JSON. */
  post(operation: string, body: unknown, options?: { type?: string | undefined; capsule?: string }): Promise<Answer>;
  /** The same, with an answer that was not read yet. */
  open(operation: string, body: unknown): Promise<Response>;
};

/** A running capsule of a fresh team, on the only host there is; its files are a `FakeFiles`. */
export async function runningCapsule(): Promise<Capsule> {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const [agent, inside, t] = [await onlineHost(), new FakeFiles(), await tenant()];
  agent.inside = inside.inside;
  const id = await newSandbox(t.teamId);
  unwrap(await env.SANDBOX.getByName(id).start(t.teamId));
  const path = (operation: string, capsule = id) => `/v1/capsules/${capsule}/files/${operation}`;
  return {
    ...{ id, agent, inside, t },
    post: (operation, body, { type = "application/json", capsule } = {}) =>
      t.call("POST", path(operation, capsule), body, { "content-type": type }),
    open: (operation, body) => request("POST", path(operation), { body, headers: { "x-api-key": t.key } }),
  };
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
