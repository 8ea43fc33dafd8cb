import { expect, test } from "vitest";
import { createLog } from "#kernel/log";
import { ContainerHost, type ContainerRow } from "#objects/container/container-host";
import type { ContainerAdapter, ContainerLaunch } from "#platform/sandbox/container-adapter";
import { signControlToken } from "#platform/sandbox/control-token";
import { newSigningKey } from "#scripts/lib/secrets";
import { refusalOf } from "#test/node/machine";

const env = { SIGNING_KEY: await newSigningKey() };
const LIMITS = { vcpus: 1, memoryMb: 512, diskMb: 5120, pids: 64 };

/** A container whose agent only notes what it is asked, and that fails where it is told to. */
class NotedContainer implements ContainerAdapter {
  readonly calls: string[] = [];
  readonly launches: ContainerLaunch[] = [];
  readonly bodies: unknown[] = [];
  fails: "launch" | "save" | "destroy" | "fetch" | undefined;
  alive = false;
  #saves = 0;

  async launch(launch: ContainerLaunch) {
    this.#note("launch");
    this.launches.push(launch);
    this.alive = true;
    return launch.size;
  }
  async isAlive() {
    return this.alive;
  }
  async fetch(request: Request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/v1/health") return Response.json({});
    this.#note("fetch", `${request.method} ${pathname.slice("/v1/sandboxes/sb_1".length)}`);
    if (request.method === "PUT") this.bodies.push(await request.json());
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    const machine = { kernel: "6.1", agent: "1", supervisor: "1", isolation: "container" };
    return Response.json({ id: "sb_1", generation: 1, status: "running", bootMs: 1, unenforced: [], machine });
  }
  async save() {
    this.#note("save");
    return { id: `files-${++this.#saves}` };
  }
  async discard(handle: unknown) {
    this.#note(undefined, `discard ${(handle as { id: string }).id}`);
  }
  async destroy() {
    this.#note("destroy");
    this.alive = false;
  }
  async keepAlive() {
    this.#note(undefined, "keepAlive");
  }
  /** What happened since this was last asked. */
  take(): string {
    return this.calls.splice(0).join(", ");
  }
  #note(what: NotedContainer["fails"], text: string = what ?? "") {
    if (what !== undefined && this.fails === what) throw new Error(`${what} fails`);
    this.calls.push(text);
  }
}

function world() {
  const container = new NotedContainer();
  const store: { row: ContainerRow | undefined; save(row: ContainerRow): void } = {
    row: undefined,
    save(row) {
      store.row = structuredClone(row);
    },
  };
  const controlKeys = async () => '{"keys":[]}';
  const log = createLog("none");
  const host = new ContainerHost({ sandboxId: "sb_1", env, store, adapter: container, controlKeys, log });
  const ask = async (method: string, rest: string, generation = 1, body?: object) => {
    const act = rest.startsWith("/supervisor") ? "use" : "lifecycle";
    const { token } = await signControlToken(env, { hostId: "container", sandboxId: "sb_1", generation }, act);
    const init = { method, headers: { authorization: `Bearer ${token}` }, body: body ? JSON.stringify(body) : null };
    return host.answer(new Request(`http://machine/v1/sandboxes/sb_1${rest}`, init));
  };
  const start = (generation = 1, more: object = {}) => ask("PUT", "", generation, { limits: LIMITS, ...more });
  return { container, store, host, ask, start };
}

test("a container is launched in the size that fits, with the keys to trust and without the internet", async () => {
  const { container, start } = world();
  expect(await (await start()).json()).toMatchObject({ machine: { isolation: "container standard-2" } });
  expect(container.take()).toBe("launch, PUT ");
  expect(container.launches).toEqual([
    { sandboxId: "sb_1", size: "standard-2", env: { CONTROL_KEYS: '{"keys":[]}' }, internet: false, saved: null },
  ]);
});

test.for([
  [{ allow: ["*"] }, true],
  [{ allow: ["example.com"] }, false],
  ["off", false],
] as const)("the network policy %o opens the internet: %s", async ([network, internet]) => {
  const { container, start } = world();
  await start(1, { network });
  expect(container.launches[0]!.internet).toBe(internet);
});

test("a sandbox that is larger than any container does not start", async () => {
  const { container, start } = world();
  const refused = await start(1, { limits: { ...LIMITS, vcpus: 16 } });
  expect(await refusalOf(refused)).toEqual({ status: 503, code: "start_failed" });
  expect(container.take()).toBe("destroy");
});

test("a launch that fails leaves nothing running, loses nothing saved, and can be tried again", async () => {
  const { container, start, ask, store } = world();
  await start();
  await ask("DELETE", "?files=keep", 2);
  container.take();
  container.fails = "launch";
  expect(await refusalOf(await start(3))).toEqual({ status: 503, code: "start_failed" });
  expect([container.alive, store.row?.saved?.handle]).toEqual([false, { id: "files-1" }]);
  container.fails = undefined;
  expect((await start(4)).status).toBe(200);
  expect(container.launches.at(-1)!.saved?.handle).toEqual({ id: "files-1" });
});

test("a pause whose files cannot be saved lets the sandbox go on where it was", async () => {
  const { container, start, ask, store } = world();
  await start();
  container.take();
  container.fails = "save";
  expect(await refusalOf(await ask("POST", "/freeze"))).toEqual({ status: 503, code: "freeze_failed" });
  expect(container.take()).toBe("POST /freeze, POST /thaw");
  expect([container.alive, store.row?.state]).toEqual([true, { generation: 1, status: "running" }]);
  container.fails = undefined;
  expect(await (await ask("POST", "/freeze")).json()).toMatchObject({ status: "paused" });
  expect(container.take()).toBe("POST /freeze, save, destroy");
});

test("a stop whose files cannot be saved keeps the container until they are", async () => {
  const { container, start, ask, store } = world();
  await start();
  container.fails = "save";
  expect((await ask("DELETE", "?files=keep", 2)).status).toBe(503);
  expect([container.alive, store.row?.state.generation]).toEqual([true, 2]);
  container.fails = undefined;
  expect((await ask("DELETE", "?files=keep", 2)).status).toBe(204);
  expect([container.alive, store.row?.state.status]).toEqual([false, "stopped"]);
});

test("a container that could not be ended after its files were saved is ended by the next call", async () => {
  const { container, start, ask } = world();
  await start();
  container.fails = "destroy";
  expect((await ask("POST", "/freeze")).status).toBe(500);
  expect(await refusalOf(await ask("GET", "/supervisor/v1/health"))).toMatchObject({ code: "sandbox_paused" });
  container.fails = undefined;
  container.take();
  expect((await ask("POST", "/freeze")).status).toBe(200);
  expect(container.take()).toBe("destroy");
});

test("older files are forgotten once newer ones are saved, and all of them by a wipe", async () => {
  const { container, start, ask, store } = world();
  await start();
  await ask("POST", "/freeze");
  await ask("POST", "/thaw");
  container.take();
  await ask("POST", "/freeze");
  expect(container.take()).toBe("POST /freeze, save, discard files-1, destroy");
  expect((await ask("DELETE", "?files=wipe", 2)).status).toBe(204);
  expect(container.take()).toBe("discard files-2");
  expect(store.row).toEqual({
    state: { generation: 2, status: "wiped" },
    start: null,
    saved: null,
    size: "standard-2",
  });
});

test("what a sandbox begins with is given to its first start only, and not kept", async () => {
  const { container, start, ask, store } = world();
  const source = { root: "a".repeat(64), token: "secret", owner: "team_1" };
  expect((await start(1, { source })).status).toBe(200);
  expect(JSON.stringify(store.row)).not.toContain("secret");
  await ask("DELETE", "?files=keep", 2);
  await start(3, { source });
  expect(container.bodies.map((body) => "source" in (body as object))).toEqual([true, false]);
});

test("a container in use is saved now and then; an idle one is only kept alive", async () => {
  const { container, host, start, ask, store } = world();
  expect(await host.tend()).toBe("resting");
  await start();
  container.take();
  expect(await host.tend()).toBe("running");
  expect(container.take()).toBe("keepAlive, save");
  expect(await host.tend()).toBe("running");
  expect(container.take()).toBe("keepAlive");
  await ask("GET", "/supervisor/v1/health");
  container.fails = "save";
  expect(await host.tend()).toBe("running");
  container.fails = undefined;
  container.take();
  expect(await host.tend()).toBe("running");
  expect(container.take()).toBe("keepAlive, save, discard files-1");
  expect(store.row?.state.status).toBe("running");
});

test("a container that ended by itself is told, and starts again with what was saved last", async () => {
  const { container, host, start, ask } = world();
  await start();
  await host.tend();
  container.alive = false;
  expect(await host.tend()).toBe("lost");
  expect(await (await ask("GET", "")).json()).toMatchObject({ status: "stopped", generation: 1 });
  expect(await refusalOf(await ask("GET", "/supervisor/v1/health"))).toMatchObject({ code: "sandbox_not_running" });
  await start(2);
  expect(container.launches.at(-1)!.saved?.handle).toEqual({ id: "files-1" });
});

test("a call that breaks off inside is told as a loss", async () => {
  const { container, start, ask } = world();
  await start();
  container.fails = "fetch";
  expect(await refusalOf(await ask("POST", "/supervisor/v1/exec"))).toEqual({ status: 502, code: "sandbox_lost" });
});

test("another sandbox's calls, and ones it does not know, are refused", async () => {
  const { host, ask, start } = world();
  await start();
  const other = await host.answer(new Request("http://machine/v1/sandboxes/sb_2"));
  expect(await refusalOf(other)).toEqual({ status: 404, code: "not_found" });
  expect(await refusalOf(await ask("POST", ""))).toEqual({ status: 400, code: "invalid" });
  expect(await refusalOf(await ask("PUT", "", 1, { limits: {} }))).toEqual({ status: 400, code: "invalid" });
});
