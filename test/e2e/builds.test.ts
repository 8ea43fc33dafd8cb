import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "#scripts/lib/paths";
import { OWNER_EMAIL } from "#scripts/lib/stack";
import { until } from "#test/node/agent";
import { openFolder } from "#test/node/open-folder";
import { type Started, startedProduct } from "#test/node/started";

const PASSWORD = "correct horse battery";

let product: Started;
let headers: Record<string, string>;

beforeAll(async () => {
  product = await startedProduct();
  headers = await ownersSession();
}, 120_000);
afterAll(async () => {
  await product?.stop();
});

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
async function call(method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<any> {
  const form = body instanceof FormData;
  const sent = body === undefined ? null : form ? body : JSON.stringify(body);
  const type = form || body === undefined ? {} : { "content-type": "application/json" };
  const response = await fetch(product.url + path, { method, body: sent, headers: { ...headers, ...type, ...more } });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? response : JSON.parse(text);
}

/** The owner of a local product administers the platform; a password is set by the code of a letter. */
async function ownersSession(): Promise<Record<string, string>> {
  headers = {};
  await call("POST", "/v1/me/password/reset", { email: OWNER_EMAIL });
  const args = [join(ROOT, "scripts/mails.ts"), "--data", product.dataDir, "--to", OWNER_EMAIL];
  const token = await until("the letter is there", () => /^Your code: (\S+)$/m.test(mails(args))).then(
    () => /^Your code: (\S+)$/m.exec(mails(args))?.[1],
  );
  await call("POST", "/v1/me/password/reset/confirm", { token, new_password: PASSWORD });
  const login = await fetch(`${product.url}/v1/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: OWNER_EMAIL, password: PASSWORD }),
  });
  const cookies = login.headers.getSetCookie().map((cookie) => cookie.split(";")[0] ?? "");
  const csrf = cookies.find((cookie) => cookie.startsWith("wrenn_csrf="))?.split("=")[1] ?? "";
  return { cookie: cookies.join("; "), "x-csrf-token": csrf };
}

const mails = (args: string[]) => execFileSync(process.execPath, args, { encoding: "utf8" });

test("a build runs its recipe in a real sandbox, and capsules are made of what it leaves (R411, R415, R416, R419)", async () => {
  const folder = openFolder("archive");
  mkdirSync(join(folder, "app"));
  writeFileSync(join(folder, "app/server.txt"), "from the archive\n");
  const archive = execFileSync("tar", ["-czf", "-", "-C", folder, "app"]);
  const recipe = [
    "ENV GREETING=hello",
    "WORKDIR service",
    "COPY app .",
    'RUN echo "$GREETING $(cat server.txt)" >built; pwd',
    "START while :; do date >>ticks; sleep 0.2; done",
  ];
  const config = { name: "service", recipe, healthcheck: "--interval=200ms --retries=50 test -s ticks" };
  const form = new FormData();
  form.append("config", JSON.stringify(config));
  form.append("archive", new Blob([archive]), "app.tar.gz");
  const { id } = await call("POST", "/v1/admin/builds", form);
  const log = fetch(`${product.url}/v1/admin/builds/${id}/logs`, { headers }).then((answer) => answer.text());
  let build = await call("GET", `/v1/admin/builds/${id}`);
  await until(
    "the build is over",
    async () => {
      build = await call("GET", `/v1/admin/builds/${id}`);
      return !["pending", "running"].includes(build.status);
    },
    90_000,
  );
  expect(build, JSON.stringify(build)).toMatchObject({ status: "success", default_env: { GREETING: "hello" } });
  expect(build.logs.find(({ cmd }: { cmd: string }) => cmd.startsWith("RUN echo")).stdout).toBe("/workspace/service\n");
  expect(await log).toContain("/workspace/service");

  const key = { "x-api-key": product.apiKey };
  const capsule = await call("POST", "/v1/capsules", { template: "service" }, key);
  const status = async () => (await call("GET", `/v1/capsules/${capsule.id}`, undefined, key)).status;
  await until("the capsule runs", async () => (await status()) === "running", 60_000);
  const run = async (line: string): Promise<string> =>
    (await call("POST", `/v1/capsules/${capsule.id}/exec`, { cmd: "/bin/sh", args: ["-c", line] }, key)).stdout;
  expect(await run('cat service/built; ls -A; echo "$GREETING"')).toBe("hello from the archive\nservice\nhello\n");
  // What START began in the build goes on in the capsule, in the folder that it had.
  const { processes } = await call("GET", `/v1/capsules/${capsule.id}/processes`, undefined, key);
  expect(processes).toMatchObject([{ tag: "start-1" }]);
  const ticks = async () => Number(await run("wc -l <service/ticks"));
  const before = await ticks();
  await until("it ticks", async () => (await ticks()) > before);
  await call("DELETE", `/v1/capsules/${capsule.id}`, undefined, key);
}, 180_000);
