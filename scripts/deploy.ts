import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { randomToken } from "#kernel/digest";
import { NODE_FLAGS } from "#sandbox/host-agent/flags";
import { type Api, api } from "#scripts/lib/api";
import { bundleSandboxPrograms } from "#scripts/lib/bundle";
import { CONTAINER_APIS, type ContainerApi, containerTables, usingContainers } from "#scripts/lib/containers";
import { ROOT } from "#scripts/lib/paths";
import { run } from "#scripts/lib/run";
import { newEncryptionKey, newSigningKey } from "#scripts/lib/secrets";
import { bold, main, Problem, say, step } from "#scripts/lib/terminal";

const HELP = `npm run deploy [-- OPTIONS]

Deploys Longshore to your Cloudflare account (log in first: npx wrangler login). Safe to repeat.

  --dry-run       bundle for production and show what would be bound; needs no account
  --containers A  lets sandboxes run in Cloudflare Containers where no host has room; A is "native" or "sdk", see README,
                  "Where sandboxes run". Deploying them builds an image and needs a Docker engine
  --owner EMAIL   on the first deployment: who owns it; prints that owner's API key once
  --invite-host   prints a one-time token with which a machine of yours registers to run sandboxes

It creates the D1 database "longshore", the R2 bucket "longshore-files", the secrets SIGNING_KEY and ENCRYPTION_KEY, and the Worker with its Durable
Objects. People can sign up once letters can be sent: set MAIL_FROM (a sender of your domain in Cloudflare Email Service)
and APP_URL (the origin of the deployment) under [env.production.vars] in wrangler.toml.`;

const WRANGLER = join(ROOT, "node_modules", ".bin", "wrangler");
/** wrangler.toml with this account's database id in place of the local one. */
const CONFIG = join(ROOT, ".wrangler.production.toml");
const BUCKET = "longshore-files";
const LOCAL_ID = "00000000-0000-0000-0000-000000000000";

/** A bundle is looked at without the image that would go with it. */
const NO_IMAGE = "--containers-rollout=none";

const wranglerOfSdk = (args: string[], what: string) =>
  run(WRANGLER, [...args, "--config", join(ROOT, "wrangler.sdk.toml")], what);
const wrangler = (args: string[], what: string, stdin?: string) =>
  run(WRANGLER, [...args, "--config", CONFIG, "--env", "production"], what, stdin);

await main(async () => {
  const { values } = parseArgs({
    options: {
      "dry-run": { type: "boolean" },
      containers: { type: "string" },
      owner: { type: "string" },
      "invite-host": { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const containers = containerApi(values.containers);
  if (containers) await bundleSandboxPrograms();
  writeConfig(LOCAL_ID, containers);
  if (values["dry-run"]) {
    const dry = ["deploy", "--dry-run", "--outdir"];
    if (containers === "sdk") say(await wranglerOfSdk([...dry, join(ROOT, "dist", "sdk"), NO_IMAGE], "Bundling"));
    say(await wrangler([...dry, join(ROOT, "dist", "production"), NO_IMAGE], "Bundling"));
    return 0;
  }
  await run(WRANGLER, ["whoami"], "Looking for your Cloudflare login").catch(() => {
    throw new Problem("You are not logged in to Cloudflare.", "Run: npx wrangler login");
  });
  writeConfig(await step("Finding or creating the database", databaseId), containers);
  await step("Finding or creating the bucket for files", ensureBucket);
  await step("Migrating the database", () =>
    wrangler(["d1", "migrations", "apply", "DB", "--remote"], "The migration"),
  );
  if (containers === "sdk") await step("Deploying the containers", () => wranglerOfSdk(["deploy"], "The deployment"));
  const deployed = await step("Deploying", () => wrangler(["deploy"], "The deployment"));
  const fresh = await step("Storing the secrets", ensureSecrets);
  const url = /https:\/\/[^\s]+/.exec(deployed)?.[0];
  say(`${bold("Longshore")} is at ${url ?? "the address wrangler shows for it"}.`);
  if (url && (values.owner || values["invite-host"])) {
    await withSetup(url, async (setup) => {
      if (values.owner) await createOwner(setup, values.owner);
      if (values["invite-host"]) await inviteHost(setup, url);
    });
  } else if (fresh) say("Create its first owner: npm run deploy -- --owner you@example.com");
  return 0;
});

function writeConfig(id: string, containers: ContainerApi | undefined): void {
  const config = readFileSync(join(ROOT, "wrangler.toml"), "utf8").replaceAll(LOCAL_ID, id);
  const tables = containers && containerTables({ api: containers, prefix: "env.production." });
  writeFileSync(CONFIG, tables ? usingContainers(config, "auto") + tables : config);
}

function containerApi(name: string | undefined): ContainerApi | undefined {
  const api = CONTAINER_APIS.find((each) => each === name);
  if (name !== undefined && !api) throw new Problem(`--containers ${name} is unknown.`, "It is native or sdk.");
  return api;
}

async function databaseId(): Promise<string> {
  const listed = JSON.parse(await run(WRANGLER, ["d1", "list", "--json"], "Listing databases")) as {
    name: string;
    uuid: string;
  }[];
  const known = listed.find(({ name }) => name === "longshore");
  if (known) return known.uuid;
  const made = await run(WRANGLER, ["d1", "create", "longshore"], "Creating the database");
  const id = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(made)?.[0];
  if (!id) throw new Problem("The database was created but its id was not in the answer.", made);
  return id;
}

async function ensureBucket(): Promise<void> {
  const listed = await run(WRANGLER, ["r2", "bucket", "list"], "Listing buckets");
  if (listed.split(/\s+/).includes(BUCKET)) return;
  await run(WRANGLER, ["r2", "bucket", "create", BUCKET], "Creating the bucket");
}

/** True when the secrets were made now. Existing ones are kept: what they sealed or signed would be lost. */
async function ensureSecrets(): Promise<boolean> {
  const secrets = JSON.parse(await wrangler(["secret", "list", "--format", "json"], "Listing secrets")) as {
    name: string;
  }[];
  const missing = (wanted: string) => !secrets.some(({ name }) => name === wanted);
  const fresh = missing("SIGNING_KEY");
  if (fresh) await wrangler(["secret", "put", "SIGNING_KEY"], "Storing the signing key", await newSigningKey());
  if (missing("ENCRYPTION_KEY")) {
    await wrangler(["secret", "put", "ENCRYPTION_KEY"], "Storing the encryption key", newEncryptionKey());
  }
  return fresh;
}

/** Opens the set-up operations for as long as `work` takes. */
async function withSetup(url: string, work: (setup: Api) => Promise<void>): Promise<void> {
  const token = randomToken();
  await wrangler(["secret", "put", "SETUP_TOKEN"], "Opening the set-up", token);
  try {
    await work(api(url, { "x-setup-token": token }));
  } finally {
    await wrangler(["secret", "delete", "SETUP_TOKEN"], "Closing the set-up", "y\n");
  }
}

async function createOwner(setup: Api, email: string): Promise<void> {
  const { apiKey } = await setup<{ apiKey: string }>("POST", "/internal/v1/setup/owner", { email });
  say(`API key of ${email}, shown this once: ${apiKey}`);
}

async function inviteHost(setup: Api, url: string): Promise<void> {
  const { registrationToken } = await setup<{ registrationToken: string }>("POST", "/internal/v1/setup/hosts", {
    type: "regular",
  });
  say(`On the machine that shall run sandboxes, within the hour:
  LONGSHORE_HOST_TOKEN=${registrationToken} node_modules/.bin/node ${NODE_FLAGS.join(" ")} sandbox/host-agent/main.ts --control ${url} --address https://ITS-ADDRESS`);
}
