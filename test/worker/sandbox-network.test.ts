import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { beforeAll, expect, test } from "vitest";
import { insertSandbox } from "#domain/sandbox/repo";
import { PLATFORM_TEAM } from "#domain/template/values";
import { newId } from "#kernel/id";
import { templates } from "#schema";
import { newTeam, onlineHost } from "#test/worker/control";
import { type FakeAgent, serveFakeAgents } from "#test/worker/fake-agent";

let agent: FakeAgent;

beforeAll(async () => {
  serveFakeAgents();
  agent = await onlineHost();
});

/** Starts a sandbox and answers what its host was told that it may reach. */
async function networkGiven(teamId: string, template?: { teamId: string; network?: string }): Promise<unknown> {
  const db = drizzle(env.DB);
  const now = Date.now();
  const id = newId("sandbox", now);
  const templateId = template ? newId("template", now) : null;
  if (template && templateId) {
    const metadata: Record<string, string> = template.network === undefined ? {} : { network: template.network };
    const row = { id: templateId, teamId: template.teamId, name: templateId, type: "snapshot", metadata } as const;
    await db.insert(templates).values({ ...row, createdBy: "user_1", createdAt: now });
  }
  const sandbox = { id, teamId, name: "test", createdBy: "user_1", createdAt: now, templateId };
  await insertSandbox(db, sandbox);
  expect(await env.SANDBOX.getByName(id).start(teamId)).toMatchObject({ ok: true });
  const start = agent.seen.findLast(({ method }) => method === "PUT");
  return JSON.parse(start?.body ?? "{}").network;
}

test("a sandbox reaches nothing outside unless the deployment says so", async () => {
  const team = newTeam();
  expect(await networkGiven(team)).toBe("off");
  expect(await networkGiven(team, { teamId: team })).toBe("off");
  expect(await networkGiven(team, { teamId: PLATFORM_TEAM })).toBe("off");
});

test("a template of the platform says itself what its sandboxes reach", async () => {
  const team = newTeam();
  expect(await networkGiven(team, { teamId: PLATFORM_TEAM, network: "pypi.org, *.npmjs.org" })).toEqual({
    allow: ["pypi.org", "*.npmjs.org"],
  });
  expect(await networkGiven(team, { teamId: PLATFORM_TEAM, network: "public" })).toEqual({ allow: ["*"] });
  expect(await networkGiven(team, { teamId: PLATFORM_TEAM, network: "http://nonsense" })).toBe("off");
});

test("T1, H3: a team's own template opens nothing", async () => {
  const team = newTeam();
  for (const network of ["public", "*", "pypi.org", "off"]) {
    expect(await networkGiven(team, { teamId: team, network })).toBe("off");
  }
});
