import { beforeAll, expect, test } from "vitest";
import { type Api, api } from "#scripts/lib/api";
import { endsRun, readEvents } from "#scripts/lib/read-events";
import { until } from "#test/node/agent";

const { CONTAINERS_URL: url = "", SETUP_TOKEN = "" } = process.env;
type Capsule = { id: string; status: string; metadata: Record<string, string> };
type Owner = { apiKey: string };

let call: Api;
let key: Record<string, string>;

beforeAll(async () => {
  const owner = { email: "owner@longshore.local" };
  const { apiKey } = await api(url, { "x-setup-token": SETUP_TOKEN })<Owner>("POST", "/internal/v1/setup/owner", owner);
  key = { "x-api-key": apiKey };
  call = api(url, key);
});

const look = (id: string) => call<Capsule>("GET", `/v1/capsules/${id}`);
const becomes = (id: string, status: string) =>
  until(`it is ${status}`, async () => (await look(id)).status === status, 60_000);
const run = async (id: string, line: string) =>
  (await call<{ stdout: string }>("POST", `/v1/capsules/${id}/exec`, { cmd: "sh", args: ["-c", line] })).stdout;

test("a capsule runs in a container, tells so and of what size, and keeps its files over a pause", async () => {
  const { id } = await call<Capsule>("POST", "/v1/capsules", { metadata: { purpose: "test" } });
  await becomes(id, "running");
  const { metadata } = await look(id);
  expect(metadata).toMatchObject({ purpose: "test", pause_mode: "filesystem" });
  expect(metadata.vmm_version).toBe("container standard-2 (1 vCPU, 6144 MiB, 12000 MB)");
  expect(await run(id, "id -un; pwd; echo kept > file; (sleep 600 >/dev/null 2>&1 &)")).toBe("sandbox\n/workspace\n");
  await call("POST", `/v1/capsules/${id}/pause`);
  await becomes(id, "paused");
  const refused = await fetch(`${url}/v1/capsules/${id}/exec`, {
    method: "POST",
    headers: { ...key, "content-type": "application/json" },
    body: JSON.stringify({ cmd: "true" }),
  });
  expect([refused.status, await refused.json()]).toMatchObject([409, { error: { code: "invalid_state" } }]);
  await call("POST", `/v1/capsules/${id}/resume`);
  await becomes(id, "running");
  expect(await run(id, "cat file; pgrep -x sleep")).toBe("kept\n");
  await call("DELETE", `/v1/capsules/${id}`);
  await becomes(id, "stopped");
});

test("an agent's session works in a container as on a host", async () => {
  const workspace = await call<{ id: string }>("POST", "/api/v1/workspaces", { name: "boxed", runtime: "base" });
  const session = await call<{ id: string }>("POST", `/api/v1/workspaces/${workspace.id}/sessions`, {
    agentName: "builder",
  });
  const { runId } = await call<{ runId: string }>("POST", `/api/v1/sessions/${session.id}/messages`, {
    content: "$ test -x /opt/longshore/container-agent.mjs || ls /opt/longshore; echo in-$((1+1))-containers",
  });
  let text = "";
  const hear = ({ data }: { data: { delta?: string } }) => {
    text += data.delta ?? "";
  };
  await readEvents({ url, sessionId: session.id, apiKey: key["x-api-key"] ?? "" }, hear, endsRun(runId));
  expect(text).toContain("in-2-containers");
});
