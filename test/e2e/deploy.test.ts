import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { ROOT } from "#scripts/lib/paths";

const deploy = async (...args: string[]) =>
  (await promisify(execFile)(process.execPath, [join(ROOT, "scripts/deploy.ts"), "--dry-run", ...args], { cwd: ROOT }))
    .stdout;

afterAll(() => rmSync(join(ROOT, ".wrangler.production.toml"), { force: true }));

test("a deployment bundles without an account or an engine, and without what holds containers", async () => {
  const said = await deploy();
  expect(said).toContain('env.SANDBOX_BACKEND ("host")');
  expect(said).not.toContain("containers are available");
  expect(readFileSync(join(ROOT, "dist/production/worker.js"), "utf8")).not.toMatch(/capnweb|createBackup\(options\)/);
});

test("one with containers by ctx.container names the image's application", async () => {
  const said = await deploy("--containers", "native");
  expect(said).toContain("SandboxContainer (durable_object)");
  expect(said).toContain('env.SANDBOX_BACKEND ("auto")');
});

test("one with containers by the SDK deploys that in a Worker of its own", async () => {
  const said = await deploy("--containers", "sdk");
  expect(said).toContain("env.SDK_CONTAINERS (SdkContainerObject, defined in longshore-sdk-containers)");
  expect(said).toContain("sdk.Dockerfile");
  expect(readFileSync(join(ROOT, "dist/production/worker.js"), "utf8")).not.toMatch(/capnweb|createBackup\(options\)/);
  expect(readFileSync(join(ROOT, "dist/sdk/sdk-worker.js"), "utf8")).toMatch(/capnweb|createBackup\(options\)/);
});

test("an unknown API is refused in words", async () => {
  await expect(deploy("--containers", "other")).rejects.toMatchObject({
    stderr: expect.stringContaining("It is native or sdk."),
  });
});
