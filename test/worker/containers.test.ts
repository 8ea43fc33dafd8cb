import { env } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { expect, test } from "vitest";
import { type ContainerUse, findAddress, placeSandbox } from "#domain/host/place-sandbox";
import { listSandboxesById, publishSandbox, type Sandbox, specOf } from "#domain/sandbox/repo";
import { containerUse } from "#platform/sandbox/container-use";
import { signControlToken } from "#platform/sandbox/control-token";
import { sandboxBackend } from "#platform/sandbox/port";
import { byocTeam, newSandbox, newTeam, onlineHost, rowOf } from "#test/worker/control";

const db = drizzle(env.DB);
const CONTAINER = { hostId: "container", address: "container" };

/** The row of a new sandbox. */
async function sandboxOf(teamId: string): Promise<Sandbox> {
  const [row] = await listSandboxesById(db, [await newSandbox(teamId)]);
  return row!;
}

const specFor = async (teamId: string, sizes: Partial<Sandbox> = {}) =>
  specOf({ ...(await sandboxOf(teamId)), ...sizes });

test.for([
  ["host", "never"],
  ["auto", "fallback"],
  ["container", "always"],
  ["", "never"],
  ["nonsense", "never"],
] as const)("SANDBOX_BACKEND %o uses containers %s", ([setting, use]) => {
  expect(containerUse({ SANDBOX_BACKEND: setting })).toBe(use);
});

test.for<[why: string, use: ContainerUse, sizes: Partial<Sandbox>, placed: object]>([
  ["without hosts and containers", "never", {}, { ok: false, code: "no_hosts_available" }],
  ["where no host has room", "fallback", {}, { ok: true, value: CONTAINER }],
  ["always", "always", {}, { ok: true, value: CONTAINER }],
  ["one too large, beside hosts", "fallback", { vcpus: 8 }, { ok: false, code: "no_hosts_available" }],
  ["one too large, without hosts", "always", { memoryMb: 20_000 }, { ok: false, code: "invalid" }],
  ["one with a template's files", "fallback", { templateId: "tpl_1" }, { ok: false, code: "no_hosts_available" }],
  ["one with a template's files", "always", { templateId: "tpl_1" }, { ok: false, code: "no_hosts_available" }],
])("a sandbox is placed %s", async ([, use, sizes, expected]) => {
  expect(await placeSandbox(db, await specFor(newTeam(), sizes), null, use)).toMatchObject(expected);
});

test("hosts of a team's own go before containers, and a team that brings them never gets one", async () => {
  const team = await byocTeam();
  for (const use of ["fallback", "always"] as const) {
    expect(await placeSandbox(db, await specFor(team), null, use)).toMatchObject({ code: "no_hosts_available" });
  }
});

test("a host with room goes before a container, unless there shall only be containers", async () => {
  const { hostId } = await onlineHost();
  const spec = await specFor(newTeam());
  expect(await placeSandbox(db, spec, null, "fallback")).toMatchObject({ value: { hostId } });
  expect(await placeSandbox(db, spec, null, "always")).toMatchObject({ value: CONTAINER });
  await env.DB.prepare("DELETE FROM hosts").run();
});

test("a sandbox stays in its container, also when the setting has changed", async () => {
  const spec = await specFor(newTeam());
  expect(await placeSandbox(db, spec, "container", "never")).toMatchObject({ ok: true, value: CONTAINER });
  expect(await findAddress(db, "container")).toBe("container");
});

test("the directory says which backend runs a sandbox", async () => {
  const sandbox = await sandboxOf(newTeam());
  for (const [hostId, backend] of [
    ["container", "container"],
    ["host_01", "host"],
  ] as const) {
    await publishSandbox(db, sandbox.id, { ...sandbox, hostId });
    expect(await rowOf("sandboxes", sandbox.id)).toMatchObject({ host_id: hostId, backend });
  }
});

test("a deployment without containers says so instead of waiting", async () => {
  const spec = await specFor(newTeam());
  const started = await sandboxBackend(env, CONTAINER).start(spec, 1, "off", null);
  expect(started).toMatchObject({ ok: false, code: "sandbox_failed", message: "this deployment has no containers" });
});

test("a container's object takes no token of another host", async () => {
  const subject = { hostId: "host_other", sandboxId: "sb_1", generation: 1 };
  const { token } = await signControlToken(env, subject, "lifecycle");
  const init = { headers: { authorization: `Bearer ${token}` } };
  const answer = await env.CONTAINERS.getByName("sb_1").fetch("http://container/v1/sandboxes/sb_1", init);
  expect(answer.status).toBeGreaterThanOrEqual(400);
});
