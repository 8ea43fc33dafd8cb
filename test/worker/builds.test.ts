import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { sendArchive } from "#test/worker/archive-sender";
import { BuildSandbox, buildBecomes } from "#test/worker/build-sandbox";
import { auditOf, eventually, rowOf as placeOf } from "#test/worker/control";
import { call, rowOf, tenant } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";
import { eventsIn, follow } from "#test/worker/streams";

const BUILDS = "/v1/admin/builds";
const NOW = { recipe: ["RUN true"], skip_pre_post: true };

let admin: Person;
let sandbox: BuildSandbox;
let count = 0;
const name = () => `built-${count++}`;
const create = (body: object) => admin.call("POST", BUILDS, { name: name(), ...NOW, ...body });
const begin = async (body: object): Promise<string> => {
  const made = await create(body);
  expect(made, made.text).toMatchObject({ status: 202, body: { status: "pending" } });
  return made.body.id;
};

/** Sends a form as a browser does. */
async function sendForm({ cookie, csrf }: Person, form: FormData) {
  const encoded = new Response(form);
  const type = encoded.headers.get("content-type") ?? "";
  const headers = { cookie, "x-csrf-token": csrf, "content-type": type };
  return call("POST", BUILDS, { body: new Uint8Array(await encoded.arrayBuffer()), headers });
}

/** Holds a command until a test lets it go. */
function gate() {
  let isHeld = true;
  return {
    held: () => isHeld,
    open: () => {
      isHeld = false;
    },
  };
}

beforeEach(async () => {
  admin = await person({ platformAdmin: true });
  sandbox = await BuildSandbox.open();
});

describe("a request", () => {
  test("is answered at once with the queued build (R411)", async () => {
    const { status, body } = await create({ name: "queued", vcpus: 2, memory_mb: 1024, healthcheck: "true" });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      ...{ id: expect.stringMatching(/^bld_/), name: "queued", base_template: "minimal", recipe: ["RUN true"] },
      ...{
        healthcheck: "true",
        vcpus: 2,
        memory_mb: 1024,
        status: "pending",
        current_step: 0,
        total_steps: 2,
        logs: [],
      },
    });
    expect(await auditOf(body.id)).toContain("build.created");
  });

  test.for<[string, object]>([
    ["no name", { name: undefined }],
    ["an empty name", { name: "" }],
    ["an illegal name", { name: "../x" }],
    ["a name that is too long", { name: "n".repeat(65) }],
    ["no recipe", { recipe: undefined }],
    ["an empty recipe", { recipe: [] }],
    ["a recipe that says nothing", { recipe: ["", "  # nothing"] }],
    ["a health check that is none", { healthcheck: "--retries=many true" }],
    ["an illegal base", { base_template: "a b" }],
    ["more memory than there is", { memory_mb: 1_000_000 }],
  ])("with %s is refused (R412)", async ([, body]) => {
    const { status, body: answer } = await create(body);
    expect([status, answer.error.code]).toEqual([400, "invalid_request"]);
  });

  test("the name of a template is taken, and a base that is none is missing (R421, A12)", async () => {
    const taken = await create({ name: "minimal" });
    expect([taken.status, taken.body.error.code]).toEqual([409, "template_name_taken"]);
    expect((await create({ base_template: "nowhere" })).status).toBe(404);
  });

  test("only administrators of the platform see builds, and unknown ones are missing (R390, R413)", async () => {
    const other = await person();
    expect((await other.call("POST", BUILDS, { name: "x", ...NOW })).status).toBe(403);
    expect((await other.call("GET", BUILDS)).status).toBe(403);
    expect((await admin.call("GET", `${BUILDS}/bld_none`)).status).toBe(404);
    expect((await admin.call("POST", `${BUILDS}/bld_none/cancel`)).status).toBe(404);
    const id = await begin({});
    const { status, body } = await admin.call("GET", BUILDS);
    expect(status).toBe(200);
    expect(body.map((one: { id: string }) => one.id)).toContain(id);
  });
});

describe("steps", () => {
  test("run in order, and the first that fails ends the build with the reason (R415)", async () => {
    sandbox.script = (command) => (command === "two" ? { exit: 3, stderr: "no luck\n" } : { stdout: `${command}\n` });
    const id = await begin({ recipe: ["RUN one", "RUN two", "RUN three"] });
    const { body } = await buildBecomes(admin, id, { status: "failed", current_step: 1, total_steps: 3 });
    expect(body.error).toBe("step 2 failed (RUN two): it ended with exit code 3");
    expect(body.logs).toMatchObject([
      { step: 1, phase: "recipe", cmd: "RUN one", stdout: "one\n", stderr: "", exit: 0, ok: true },
      { step: 2, phase: "recipe", cmd: "RUN two", stdout: "", stderr: "no luck\n", exit: 3, ok: false },
    ]);
    expect(sandbox.commands).toEqual(["one", "two"]);
    await eventually(async () => expect(await auditOf(id)).toEqual(["build.created", "build.failed"]));
    await eventually(async () =>
      expect(await rowOf("builds", id)).toMatchObject({ status: "failed", error: body.error }),
    );
  });

  test("ENV, WORKDIR and USER are those of later steps (R416)", async () => {
    const recipe = [
      "ENV A=1",
      "ENV PATH=/opt/$A:$PATH",
      "RUN one",
      "WORKDIR $A/sub",
      "USER sandbox",
      "RUN two",
      "RUN false",
    ];
    sandbox.script = (command) => (command === "false" ? { exit: 1 } : {});
    const id = await begin({ recipe });
    const { body } = await buildBecomes(admin, id, { status: "failed" });
    const variables = { A: "1", PATH: "/opt/1:/usr/bin:/bin" };
    const [one, mkdir, , two] = sandbox.sent.filter(({ command }) => !String(command).startsWith("printf"));
    expect(one).toMatchObject({ command: "one", env: variables });
    expect(one).not.toHaveProperty("cwd");
    expect(mkdir).toMatchObject({ command: ["mkdir", "-p", "--", "/workspace/1/sub"] });
    expect(two).toMatchObject({ command: "two", env: variables, cwd: "/workspace/1/sub", user: "sandbox" });
    expect(body).toMatchObject({ default_env: variables, default_user: "sandbox" });
  });

  test.for([
    ["FROM debian", /step 2 failed \(FROM debian\): there is no instruction FROM/],
    ["RUN --nice=1 true", /there is no option --nice/],
    ["USER nobody-here", /this host has no user nobody-here/],
    ["COPY a b", /the build came without an archive/],
    ["ENV 1A=2", /ENV needs NAME=value/],
  ] as const)("%s fails the build when its turn comes (R416)", async ([line, why]) => {
    const id = await begin({ recipe: ["RUN true", line, "RUN never"] });
    const { body } = await buildBecomes(admin, id, { status: "failed", current_step: 1 });
    expect(body.error).toMatch(why);
    expect(sandbox.commands).toEqual(["true"]);
  });

  test("before and after the recipe there are steps, unless they are not wanted (R417)", async () => {
    sandbox.script = (command) => (command === "stop" ? { exit: 1 } : {});
    const id = await begin({ recipe: ["RUN true", "RUN stop"], skip_pre_post: false });
    const { body } = await buildBecomes(admin, id, { status: "failed", total_steps: 4 });
    expect(body.logs.map(({ phase }: { phase: string }) => phase)).toEqual(["pre-build", "recipe", "recipe"]);
  });

  test("a RUN that takes longer than its time is killed (R417)", async () => {
    sandbox.script = () => ({ stdout: "begun\n", held: () => true });
    const id = await begin({ recipe: ["RUN --timeout=200ms sleep 100"] });
    const { body } = await buildBecomes(admin, id, { status: "failed" });
    expect(body.error).toMatch(/did not end within 0.2 seconds/);
    expect(body.logs).toMatchObject([{ stdout: "begun\n", exit: 137, ok: false }]);
    expect(sandbox.killed).toEqual(["build-1"]);
  });

  test("a health check that never succeeds fails the build once its retries are used up (R420)", async () => {
    let attempts = 0;
    sandbox.script = (command) => (command === "check" ? { exit: 1, stderr: `${++attempts} ` } : {});
    const id = await begin({ recipe: ["START serve"], healthcheck: "--interval=10ms --retries=2 check" });
    const { body } = await buildBecomes(admin, id, { status: "failed", total_steps: 2 });
    expect(body.error).toMatch(/the last attempt failed/);
    expect(attempts).toBe(3);
    expect(body.logs[1]).toMatchObject({ phase: "post-build", stderr: "1 2 3 ", ok: false });
  });
});

describe("while it runs", () => {
  test("its step, its log and the stream of it advance (R418)", async () => {
    const second = gate();
    sandbox.script = (command) => (command === "two" ? { stdout: "half\n", exit: 1, held: second.held } : {});
    const id = await begin({ recipe: ["RUN one", "RUN two"] });
    const stream = await follow(`${BUILDS}/${id}/logs`, { cookie: admin.cookie });
    await stream.until((text) => text.includes("half"));
    const { body } = await buildBecomes(admin, id, { status: "running", current_step: 2, total_steps: 2 });
    expect(body.logs).toMatchObject([{ ok: true }, { stdout: "half\n", exit: null, ok: null }]);
    expect(body).toMatchObject({ sandbox_id: expect.stringMatching(/^sb_/), host_id: sandbox.agent.hostId });
    second.open();
    const text = await stream.ended();
    expect(text).toMatch(
      /event: status[\s\S]*"pending"[\s\S]*"running"[\s\S]*event: step\n[\s\S]*event: output[\s\S]*"failed"/,
    );
    expect(text).toContain("the build is over");
    // Whoever has seen everything need not come back.
    const last = eventsIn(text).at(-1)?.id ?? "";
    const again = await admin.call("GET", `${BUILDS}/${id}/logs`, undefined, { "last-event-id": last });
    expect(again.status).toBe(409);
  });

  test("a cancellation ends it, what it runs and its sandbox; once it is over there is none (R414)", async () => {
    sandbox.script = () => ({ held: () => true });
    const id = await begin({ recipe: ["RUN sleep", "RUN never"] });
    const { body } = await buildBecomes(admin, id, { status: "running", current_step: 1 });
    await eventually(() => expect(sandbox.commands).toEqual(["sleep"]));
    expect((await admin.call("POST", `${BUILDS}/${id}/cancel`)).status).toBe(204);
    expect((await admin.call("GET", `${BUILDS}/${id}`)).body).toMatchObject({ status: "cancelled" });
    await eventually(async () =>
      expect(await placeOf("sandboxes", body.sandbox_id)).toMatchObject({ status: "stopped" }),
    );
    expect(sandbox.agent.wiped).toContain(body.sandbox_id);
    expect(sandbox.commands).toEqual(["sleep"]);
    const again = await admin.call("POST", `${BUILDS}/${id}/cancel`);
    expect([again.status, again.body.error.code]).toEqual([400, "invalid_request"]);
    expect(await auditOf(id)).toEqual(["build.created", "build.cancelled"]);
  });

  test("an object that crashes in the middle of a RUN goes on with it, and runs nothing twice", async () => {
    const first = gate();
    sandbox.script = (command) => (command === "one" ? { stdout: "before\n", held: first.held } : { exit: 1 });
    const id = await begin({ recipe: ["RUN one", "RUN stop"] });
    await buildBecomes(admin, id, { logs: [{ stdout: "before\n" }] });
    await abortAllDurableObjects();
    await runDurableObjectAlarm(env.BUILD.getByName(id));
    first.open();
    const { body } = await buildBecomes(admin, id, { status: "failed", current_step: 1 });
    expect(body.logs).toMatchObject([{ stdout: "before\n", exit: 0, ok: true }, { ok: false }]);
    expect(sandbox.commands).toEqual(["one", "stop"]);
  });

  test("a RUN whose end nobody saw because of a crash has failed, and says so", async () => {
    sandbox.script = () => ({ held: () => true });
    const id = await begin({});
    await eventually(() => expect(sandbox.commands).toEqual(["true"]));
    await abortAllDurableObjects();
    sandbox.forget("build-1");
    await runDurableObjectAlarm(env.BUILD.getByName(id));
    const { body } = await buildBecomes(admin, id, { status: "failed" });
    expect(body.error).toMatch(/nobody saw how it ended/);
    expect(sandbox.commands).toEqual(["true"]);
  });

  test("a connection that is lost in the middle of a RUN is made again, and no output comes twice", async () => {
    const first = gate();
    sandbox.script = () => ({ stdout: "once\n", exit: 4, held: first.held });
    const id = await begin({});
    await buildBecomes(admin, id, { logs: [{ stdout: "once\n" }] });
    sandbox.cut();
    first.open();
    const { body } = await buildBecomes(admin, id, { status: "failed" });
    expect(body.logs).toMatchObject([{ stdout: "once\n", exit: 4 }]);
    expect(sandbox.commands).toEqual(["true"]);
  });
});

describe("a build that succeeds", () => {
  beforeEach(() => {
    sandbox.agent.snapshot = async (token) => {
      const { root } = await sendArchive(token, ["one", "two"]);
      return Response.json({ root, bytes: 6, sentBytes: 6, frozenMs: 1 });
    };
  });

  test("makes a template of the platform with its user and environment, which every team may use (R419)", async () => {
    const recipe = ["ENV A=1", "USER sandbox", "START serve --all"];
    const id = await begin({ name: "ready", recipe, healthcheck: "curl -f localhost" });
    const { body } = await buildBecomes(admin, id, { status: "success", current_step: 4, total_steps: 4 });
    expect(body).toMatchObject({ default_env: { A: "1" }, default_user: "sandbox" });
    expect(body.completed_at).toBeDefined();
    const row = await rowOf("templates", "ready", "name");
    expect(row).toMatchObject({ team_id: "", type: "snapshot", default_user: "sandbox", vcpus: 1, memory_mb: 512 });
    expect([JSON.parse(String(row?.default_env)), JSON.parse(String(row?.metadata))]).toEqual([
      { A: "1" },
      { build: id, start: JSON.stringify([{ command: "serve --all" }]) },
    ]);
    const t = await tenant();
    const { body: listed } = await t.call("GET", "/v1/snapshots?type=snapshot");
    expect(listed).toContainEqual(expect.objectContaining({ name: "ready", platform: true }));
    expect((await t.call("POST", "/v1/capsules", { template: "ready" })).status).toBe(202);
    expect((await create({ name: "ready" })).status).toBe(409);
    await eventually(async () =>
      expect(await placeOf("sandboxes", body.sandbox_id)).toMatchObject({ status: "stopped" }),
    );
    await eventually(async () => expect(await auditOf(id)).toEqual(["build.created", "build.succeeded"]));
  });

  test("gives its template what the base leaves, and its own behind that (R416, R419)", async () => {
    const base = await begin({ name: "below", recipe: ["ENV A=1", "ENV B=1", "USER sandbox", "START one"] });
    await buildBecomes(admin, base, { status: "success" });
    const recipe = ["ENV B=$A$A", "WORKDIR app", "START two"];
    const id = await begin({ name: "above", base_template: "below", recipe });
    await buildBecomes(admin, id, { status: "success" });
    const row = await rowOf("templates", "above", "name");
    expect(row).toMatchObject({ default_env: '{"A":"1","B":"11"}', default_user: "sandbox" });
    const { start } = JSON.parse(String(row?.metadata));
    expect(JSON.parse(start)).toEqual([{ command: "one" }, { command: "two", cwd: "app" }]);
    const boot = sandbox.agent.seen.findLast(({ method, path }) => method === "PUT" && path === "");
    expect(JSON.parse(boot!.body).setup).toEqual({ env: { A: "1", B: "1" }, start: [{ command: "one" }] });
  });

  test("without a health check makes a base template, whose sizes are those that were asked for (A12, R419)", async () => {
    await buildBecomes(admin, await begin({ name: "plain" }), { status: "success" });
    expect(await rowOf("templates", "plain", "name")).toMatchObject({ type: "base", vcpus: null, memory_mb: null });
  });

  test("is none when its name was taken meanwhile (R421)", async () => {
    const first = gate();
    sandbox.script = (command) => (command === "first" ? { held: first.held } : {});
    const one = await begin({ name: "contested", recipe: ["RUN first"] });
    const two = await begin({ name: "contested" });
    await buildBecomes(admin, two, { status: "success" });
    first.open();
    const { body } = await buildBecomes(admin, one, { status: "failed" });
    expect(body.error).toMatch(/there is a template contested already/);
  });
});

describe("a form", () => {
  const config = () => ({ name: name(), ...NOW, recipe: ["WORKDIR app", "COPY a ./b sub/", "RUN stop"] });
  const send = (fields: Record<string, string | Blob>) => {
    const form = new FormData();
    for (const [field, value] of Object.entries(fields)) form.append(field, value);
    return sendForm(admin, form);
  };
  const archives = async () => (await env.FILES.list({ prefix: "builds/" })).objects.length;
  const ARCHIVE = new Blob([new Uint8Array(9 * 1024 * 1024)]);

  test.for([
    ["config", "archive"],
    ["archive", "config"],
  ])("brings an archive for COPY, with %s first (A12)", async ([first]) => {
    sandbox.script = (command) => (command === "stop" ? { exit: 1 } : {});
    const text = JSON.stringify(config());
    const made = await send(
      first === "config" ? { config: text, archive: ARCHIVE } : { archive: ARCHIVE, config: text },
    );
    expect(made, made.text).toMatchObject({ status: 202, body: { total_steps: 4 } });
    const { body } = await buildBecomes(admin, made.body.id, { status: "failed", current_step: 3 });
    expect(sandbox.files).toEqual(new Map([[".longshore-build/archive", ARCHIVE.size]]));
    expect(sandbox.commands.at(-2)).toMatch(/sh \/workspace\/app\/sub\/ a b$/);
    expect(body.logs[0]).toMatchObject({ phase: "pre-build", cmd: "UNPACK archive", ok: true });
    await eventually(async () => expect(await archives()).toBe(0));
  });

  test("without an archive is as good as the JSON body, and one that is refused leaves no archive", async () => {
    expect((await send({ config: JSON.stringify(config()) })).status).toBe(202);
    expect((await send({ archive: ARCHIVE })).status).toBe(400);
    expect((await send({ config: "{", archive: ARCHIVE })).status).toBe(400);
    expect((await send({ config: JSON.stringify({ ...config(), recipe: 1 }), archive: ARCHIVE })).status).toBe(400);
    expect((await send({ config: JSON.stringify({ ...config(), name: "minimal" }), archive: ARCHIVE })).status).toBe(
      409,
    );
    expect(await archives()).toBe(0);
  });
});

test("a build that finds no host fails, and says so", async () => {
  await env.DB.prepare("UPDATE hosts SET status = 'offline'").run();
  const { body } = await buildBecomes(admin, await begin({}), { status: "failed" });
  expect(body.error).toMatch(/host/);
});
