import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ROOT } from "#scripts/lib/paths";
import { OAuthServer } from "#test/node/oauth-server";
import { CLIENT } from "#test/node/oauth-values";
import { type Started, startedProduct } from "#test/node/started";

/** Does what the README asks of jq, where there is none: `jq -r .name`. */
const JQ = `#!/usr/bin/env node
const [, , , path] = process.argv;
console.log(JSON.parse(require("node:fs").readFileSync(0, "utf8"))[path.slice(1)]);
`;

let provider: OAuthServer;
let product: Started;
let folder: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  provider = await OAuthServer.start();
  product = await startedProduct({
    OAUTH_GITHUB_CLIENT_ID: CLIENT.id,
    OAUTH_GITHUB_CLIENT_SECRET: CLIENT.secret,
    OAUTH_GITHUB_AUTHORIZE_URL: `${provider.url}/login/oauth/authorize?as=mona`,
    OAUTH_GITHUB_TOKEN_URL: `${provider.url}/login/oauth/access_token`,
    OAUTH_GITHUB_API_URL: provider.url,
  });
  provider.allow(`${product.url}/auth/oauth/github/callback`);
  folder = mkdtempSync(join(tmpdir(), "longshore-readme-"));
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "jq"), JQ, { mode: 0o755 });
}, 120_000);

afterAll(async () => {
  for (const { pid, exitCode } of running) if (pid !== undefined && exitCode === null) process.kill(-pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
  expect(await product?.stop()).toBe(0);
  await provider?.close();
});

/** The shell lines of a section of the README, for the product under test instead of the usual one. */
function linesOf(section: string): string[] {
  const [, rest = ""] = readFileSync(join(ROOT, "README.md"), "utf8").split(`\n## ${section}\n`);
  const [text = ""] = rest.split("\n## ");
  return [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, lines = ""]) =>
    lines
      .replace("URL=http://127.0.0.1:8787", `URL=${product.url}`)
      .replace("KEY=wrn_...", `KEY=${product.apiKey}`)
      .replace("npm run -s mails --", `npm run -s --prefix ${ROOT} mails -- --data ${product.dataDir}`),
  );
}

/**
 * Runs lines with bash in a folder of their own; what they leave in the background ends with the test. Answers a
 * function that waits until they have printed a text.
 */
function bash(lines: string): (text: string) => Promise<void> {
  const child = spawn("bash", ["-euo", "pipefail", "-c", `${lines}\nwait`], {
    cwd: folder,
    env: { ...process.env, PATH: `${process.env.PATH}:${join(folder, "bin")}` },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  running.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  return async (text) => {
    await vi.waitUntil(() => output.includes(text) || child.exitCode !== null, { timeout: 60_000, interval: 50 });
    expect(output).toContain(text);
  };
}

test("the lines of “Your own account” lead from a sign-up to an event and the audit log", async () => {
  const prints = bash(linesOf("Your own account").join("\n"));
  await prints("Account created");
  await prints('"email":"ada@example.com"');
  await prints('"event":"connected"');
  await prints('"event":"capsule.create"');
  await prints('"entries":[');
});

test("the lines of “A first session by hand” end in the output of the command", async () => {
  const prints = bash(linesOf("A first session by hand").join("\n"));
  await prints("Linux");
  await prints("event: run.completed");
});

test("a browser logs in at GitHub and comes back with a session (R84)", async () => {
  const emails = [{ email: "mona@example.com", primary: true, verified: true }];
  provider.add({ id: 1, login: "mona", name: "Mona", emails });
  const jar = "-s -c mona.txt -b mona.txt";
  const prints = bash(`curl -L ${jar} ${product.url}/auth/oauth/github; curl ${jar} ${product.url}/v1/me`);
  await prints("This browser is logged in");
  await prints('"email":"mona@example.com"');
  await prints('"providers":["github"]');
});
