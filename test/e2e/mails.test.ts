import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { api } from "#scripts/lib/api";
import { ROOT } from "#scripts/lib/paths";
import { startStack } from "#scripts/lib/stack";
import { openFolder } from "#test/node/open-folder";

/** `npm run mails` as a user runs it. */
async function mails(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join(ROOT, "scripts", "mails.ts"), ...args], { cwd: ROOT });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output };
}

test("npm run mails shows the letter that activates an account, also after a restart", async () => {
  const data = openFolder("mails");
  const missing = await mails("--data", data);
  expect(missing).toMatchObject({ code: 1, output: expect.stringContaining("No product was started") });
  const started = () => startStack({ dataDir: data, withAgent: false });
  let stack = await started();
  try {
    expect(await mails("--data", data)).toEqual({ code: 0, output: "No letters.\n" });
    const body = { email: "Ada@example.test", password: "a good password", name: "Ada" };
    await api(stack.url, {})("POST", "/v1/auth/signup", body);
    const seen = await mails("--data", data, "--to", "ada@example.test");
    expect(seen).toMatchObject({ code: 0, output: expect.stringContaining("Activate your Longshore account") });
    expect(seen.output).toContain(`${stack.url}/activate?token=`);
    await stack.stop();
    expect(await mails("--data", data)).toMatchObject({ code: 1, output: expect.stringContaining("Nothing answers") });
    stack = await started();
    const listed = await mails("--data", data, "--json");
    const [letter] = listed.output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(letter).toMatchObject({ to: "ada@example.test", kind: "activation" });
    const token = /^Your code: (\S+)$/m.exec(letter.text)?.[1];
    const answer = await api(stack.url, {})<{ email: string }>("POST", "/v1/auth/activate", { token });
    expect(answer.email).toBe("ada@example.test");
    expect((await mails("--data", data, "--to", "eve@example.test")).output).toBe("No letters.\n");
  } finally {
    await stack.stop();
    rmSync(data, { recursive: true, force: true });
  }
});

test("npm run mails explains itself", async () => {
  expect(await mails("--help")).toMatchObject({ code: 0, output: expect.stringContaining("--to EMAIL") });
});
