import { existsSync, globSync, mkdtempSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { base64url, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentHealth } from "#protocol/host-agent";
import { isRoot, LIMITS, processesWith, TestAgent, until } from "#test/node/agent";
import { FakeControlPlane } from "#test/node/control-plane";
import { openFolder } from "#test/node/open-folder";

const BODY = JSON.stringify({ limits: LIMITS });

describe("a running agent", () => {
  let agent: TestAgent;

  beforeAll(async () => {
    agent = await TestAgent.start();
    await agent.sandbox("sb_1");
  });
  afterAll(() => agent?.stop());

  test("it registers with what the machine has and what it can enforce", () => {
    const { body } = agent.control.heard("/register")[0]!;
    expect(body).toMatchObject({ token: "once", address: agent.ready.address });
    expect(body.cpu_cores).toBeGreaterThan(0);
    expect(body.capabilities).toMatchObject({ isolation: "bubblewrap", unenforced: agent.ready.unenforced });
  });

  test("H5: its credentials are in a file that only it can read", () => {
    const file = join(agent.folder, "state/private/credentials.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(agent.folder, "state/private")).mode & 0o777).toBe(0o700);
    expect(readFileSync(file, "utf8")).not.toContain("once");
  });

  test("health needs no token and tells no secret", async () => {
    const health = await (await agent.call("GET", "/v1/health", { token: "" })).json();
    expect(AgentHealth.parse(health)).toMatchObject({ hostId: "host_test", sandboxes: 1, isolation: "bubblewrap" });
  });

  const claims = { act: "use", gen: 1, iss: "longshore", aud: "host_test", sub: "sb_1" };
  const soon = () => Math.floor(Date.now() / 1000) + 30;
  const unsigned = () => new UnsecuredJWT({ ...claims, exp: soon() }).encode();
  const hmac = (key: Uint8Array) =>
    new SignJWT({ ...claims, exp: soon() }).setProtectedHeader({ alg: "HS256", kid: "test" }).sign(key);

  test.for<[string, () => string | Promise<string>]>([
    ["no token", () => ""],
    ["garbage", () => "a.b.c"],
    ["alg none", unsigned],
    ["HS256 with the public key", () => hmac(new TextEncoder().encode("k".repeat(32)))],
    ["another host's", () => agent.control.token({ audience: "host_other" })],
    ["another issuer's", () => agent.control.token({ issuer: "someone" })],
    ["another sandbox's", () => agent.control.token({ sandbox: "sb_2" })],
    ["an expired one", () => agent.control.token({ lifeSeconds: -30 })],
    ["one that lives too long", () => agent.control.token({ lifeSeconds: 600 })],
    ["one for the lifecycle only", () => agent.control.token({ act: "lifecycle" })],
    ["one with an unknown act", () => agent.control.token({ act: "everything" })],
    [
      "one with a changed payload",
      async () => {
        const [head, , signature] = (await agent.control.token()).split(".");
        return `${head}.${base64url.encode(JSON.stringify({ ...claims, gen: 9, exp: soon() }))}.${signature}`;
      },
    ],
    [
      "one signed by another key",
      async () => {
        const stranger = await FakeControlPlane.start();
        const token = await stranger.token();
        stranger.close();
        return token;
      },
    ],
  ])("H5, T6: %s is refused", async ([, make]) => {
    const answer = await agent.call("GET", "/v1/sandboxes/sb_1/supervisor/v1/health", { token: await make() });
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ error: { code: "unauthorized" } });
  });

  test("a token to use a sandbox cannot start or delete it", async () => {
    for (const method of ["PUT", "DELETE"]) {
      expect(
        (await agent.call(method, "/v1/sandboxes/sb_1", { act: "use", ...(method === "PUT" && { body: BODY }) }))
          .status,
      ).toBe(401);
    }
  });

  test("H5: a call that changes a sandbox's life cannot be repeated by whoever has seen it, a look can", async () => {
    await agent.sandbox("sb_once");
    const calls = [
      ["PUT", "/v1/sandboxes/sb_once", BODY, 200],
      ["POST", "/v1/sandboxes/sb_once/freeze", undefined, 200],
      ["POST", "/v1/sandboxes/sb_once/thaw", undefined, 200],
      ["DELETE", "/v1/sandboxes/sb_once?files=keep", undefined, 204],
    ] as const;
    for (const [method, path, body, status] of calls) {
      const token = await agent.control.token({ sandbox: "sb_once", act: "lifecycle" });
      const send = async () => (await agent.call(method, path, { token, ...(body && { body }) })).status;
      expect(await send(), `${method} ${path}`).toBe(status);
      expect(await send(), `${method} ${path} again`).toBe(401);
    }
    const token = await agent.control.token({ sandbox: "sb_once", act: "lifecycle" });
    for (const _ of [1, 2]) expect((await agent.call("GET", "/v1/sandboxes/sb_once", { token })).status).toBe(200);
    const nameless = await agent.control.token({ sandbox: "sb_once", act: "lifecycle", jti: null });
    expect((await agent.call("PUT", "/v1/sandboxes/sb_once", { token: nameless, body: BODY })).status).toBe(401);
  });

  test.for([
    ["{", 400],
    ['{"limits":{}}', 400],
    [JSON.stringify({ limits: { ...LIMITS, memoryMb: -1 } }), 400],
  ] as const)("starting with %s is %d", async ([body, status]) => {
    const answer = await agent.call("PUT", "/v1/sandboxes/sb_1", { act: "lifecycle", body });
    expect(answer.status).toBe(status);
  });

  test("ids that are paths are refused", async () => {
    for (const id of ["..%2f..%2fetc", "a%00b", ".."]) {
      const token = await agent.control.token({ sandbox: decodeURIComponent(id), act: "lifecycle" });
      expect((await agent.call("PUT", `/v1/sandboxes/${id}`, { token, body: BODY })).status).toBe(401);
    }
  });

  test("H2: a generation that was replaced is refused, its commands end, the files stay", async () => {
    const first = await agent.sandbox("sb_gen", {}, 4);
    await first.write("kept", "here");
    const running = first.call("POST", "/exec", JSON.stringify({ execId: "old", command: "sleep 60" }));
    await until("it runs", async () => (await first.exec("pgrep sleep")).stdout !== "");
    const second = await agent.sandbox("sb_gen", {}, 5);
    const answer = await running.catch(() => undefined);
    if (answer) expect(answer.status).toBe(502);
    expect((await second.exec("cat kept; pgrep sleep")).stdout).toBe("here");
    for (const act of ["use", "lifecycle"]) {
      const path = act === "use" ? "/v1/sandboxes/sb_gen/supervisor/v1/health" : "/v1/sandboxes/sb_gen";
      const stale = await agent.call("GET", path, { sandbox: "sb_gen", gen: 4, act });
      expect([stale.status, await stale.json()]).toMatchObject([409, { error: { code: "stale_generation" } }]);
    }
    const early = await agent.call("GET", "/v1/sandboxes/sb_gen/supervisor/v1/health", { sandbox: "sb_gen", gen: 6 });
    expect(await early.json()).toMatchObject({ error: { code: "sandbox_not_running" } });
  });

  test("starting twice is one start; stopping keeps the files and wiping deletes them", async () => {
    const [one, two] = await Promise.all([agent.sandbox("sb_life"), agent.sandbox("sb_life")]);
    expect(one.started).toEqual(two.started);
    await one.write("kept", "still here");
    const end = (files: string, gen: number) =>
      agent.call("DELETE", `/v1/sandboxes/sb_life?files=${files}`, { sandbox: "sb_life", act: "lifecycle", gen });
    expect((await end("keep", 1)).status).toBe(204);
    expect((await one.call("GET", "/health")).status).toBe(409);
    expect((await (await agent.sandbox("sb_life", {}, 2)).exec("cat kept")).stdout).toBe("still here");
    expect((await end("wipe", 2)).status).toBe(204);
    expect((await end("wipe", 2)).status).toBe(204);
    expect((await agent.call("GET", "/v1/sandboxes/sb_life", { sandbox: "sb_life", gen: 2 })).status).toBe(404);
    expect((await (await agent.sandbox("sb_life", {}, 3)).exec("ls -A")).stdout).toBe("");
  });

  test("a sandbox that kills its own supervisor is lost, and starts again", async () => {
    const sandbox = await agent.sandbox("sb_self", {}, 1);
    const answer = await sandbox.call("POST", "/exec", JSON.stringify({ execId: "x", command: "kill -9 2; sleep 5" }));
    expect([answer.status, await answer.json()]).toMatchObject([502, { error: { code: "sandbox_lost" } }]);
    expect((await (await agent.sandbox("sb_self", {}, 2)).exec("echo back")).stdout).toBe("back\n");
  });
});

test.runIf(isRoot)("a folder taken in place of a closed one is deleted after that one was", async () => {
  const closed = mkdtempSync(join(tmpdir(), "longshore-closed-"));
  const agent = await TestAgent.start({ folder: closed });
  const taken = readlinkSync(join(closed, "state/moved-to"));
  expect(taken).toMatch(/^\/var\/lib\/longshore\//);
  await (await agent.sandbox()).write("kept", "here");
  expect(readFileSync(join(taken, "sandboxes/sb_1/kept"), "utf8")).toBe("here");
  await agent.stop();
  expect(existsSync(taken)).toBe(true);
  const next = await TestAgent.start({ args: ["--insecure-no-isolation"] });
  expect(existsSync(taken)).toBe(false);
  await next.stop();
});

test("the agent waits for a control plane that is not there yet", async () => {
  const first = await FakeControlPlane.start();
  const { port } = new URL(first.url);
  await first.close();
  const early = TestAgent.start({ control: first, args: ["--insecure-no-isolation"] });
  const late = await FakeControlPlane.start(Number(port));
  const agent = await early;
  expect(late.heard("/register")).toHaveLength(1);
  await agent.stop();
  late.close();
});

test("H5: refused credentials are renewed once; a deleted host stops with a message and without credentials", async () => {
  const control = await FakeControlPlane.start();
  const agent = await TestAgent.start({ control, args: ["--insecure-no-isolation", "--heartbeat", "1"] });
  control.heartbeatStatus = 401;
  await until("it renewed them", () => control.calls.some(({ token }) => token === "jwt-2"));
  control.heartbeatStatus = 404;
  expect(await agent.exited).toBe(3);
  expect(agent.output.join("\n")).toContain("does not know this host any more");
  expect(() => statSync(join(agent.folder, "state/private/credentials.json"))).toThrow("ENOENT");
  await control.close();
});

test.for([
  [["--control", "nonsense"], 2, /--control must be/],
  [["--no-such-option"], 2, /Unknown option/],
  [["--port", "99999999"], 2, /--port must be/],
  [["--token", "used"], 3, /refused the registration/],
] as const)("started with %j it gives up with exit code %d", async ([args, code, message]) => {
  const folder = openFolder();
  const failure = await TestAgent.start({ folder, args: ["--insecure-no-isolation", ...args] }).catch((error) => error);
  expect(failure.message).toMatch(message);
  expect(failure.message).toContain(`exit code ${code}`);
});

test("asked to stop, the agent ends its sandboxes and leaves nothing on the machine", async () => {
  const agent = await TestAgent.start();
  const sandbox = await agent.sandbox("sb_tidy");
  const mark = `5${Math.floor(Math.random() * 1e6)}.5`;
  await sandbox.exec(`setsid sleep ${mark} >/dev/null 2>&1 &`);
  expect(processesWith(`sleep\0${mark}`)).toHaveLength(1);
  const group = () => globSync(`/sys/fs/cgroup/{,*/}longshore/*/${sandbox.id}`);
  expect(group().length > 0).toBe(isRoot && !agent.ready.unenforced.join().includes("memory: no control group"));
  await agent.stop();
  expect(await agent.exited).toBe(0);
  expect(processesWith(`sleep\0${mark}`)).toEqual([]);
  expect(group()).toEqual([]);
});

test("a second agent on the same folder is refused", async () => {
  const agent = await TestAgent.start({ args: ["--insecure-no-isolation"] });
  const second = TestAgent.start({ control: agent.control, folder: agent.folder, args: ["--insecure-no-isolation"] });
  await expect(second).rejects.toThrow("another host agent uses");
  await agent.stop();
});
