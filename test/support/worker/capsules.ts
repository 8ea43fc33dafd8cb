import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { eventually, onlineHost, rowOf } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";
import type { tenant } from "#test/worker/harness";

export type Team = Awaited<ReturnType<typeof tenant>>;

/** The one host of the platform, behind a fake agent: placement must not choose the host of another test. */
export async function onlyHost(): Promise<FakeAgent> {
  serveFakeAgents();
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  return onlineHost();
}

/** Waits until the directory says that a capsule has a status. */
export const becomes = (id: string, status: string) =>
  eventually(async () => expect(await rowOf("sandboxes", id)).toMatchObject({ status }));

/** A team's capsule that runs. */
export async function runningCapsule(team: Team, body: Record<string, unknown> = {}): Promise<string> {
  const made = await team.call("POST", "/v1/capsules", body);
  expect(made, made.text).toMatchObject({ status: 202, body: { status: "starting" } });
  await becomes(made.body.id, "running");
  return made.body.id;
}
