import { parseArgs } from "node:util";
import { api } from "#scripts/lib/api";
import { DATA_DIR } from "#scripts/lib/paths";
import { localSecrets } from "#scripts/lib/secrets";
import { readLocal } from "#scripts/lib/stack";
import { bold, dim, main, Problem, say } from "#scripts/lib/terminal";

const HELP = `npm run mails [-- OPTIONS]

Shows the letters of the product that runs on this machine, newest first. Without a mail service they go nowhere else;
they are kept for seven days.

  --to EMAIL   letters to one reader only
  --data DIR   where that product keeps its state (default: .longshore in the checkout)
  --json       print one line of JSON per letter`;

type Mail = { id: string; kind: string; to: string; subject: string; text: string; createdAt: string };

await main(async () => {
  const { values } = parseArgs({
    options: {
      to: { type: "string" },
      data: { type: "string", default: DATA_DIR },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const mails = await read(values.data, values.to);
  if (values.json) for (const mail of mails) say(JSON.stringify(mail));
  else if (mails.length === 0) say("No letters.");
  else for (const mail of mails) say(shown(mail));
  return 0;
});

async function read(dataDir: string, to: string | undefined): Promise<Mail[]> {
  const url = readLocal(dataDir)?.url;
  if (!url) {
    throw new Problem(`No product was started on ${dataDir}.`, "Start one with `npm start`, or say where with --data.");
  }
  const { SETUP_TOKEN } = await localSecrets(dataDir);
  const query = to === undefined ? "" : `?${new URLSearchParams({ to })}`;
  const setup = api(url, { "x-setup-token": SETUP_TOKEN });
  try {
    return (await setup<{ mails: Mail[] }>("GET", `/internal/v1/setup/mails${query}`)).mails;
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(`Nothing answers at ${url}.`, "Letters are read through the running product: `npm start`.");
  }
}

function shown({ to, subject, text, createdAt }: Mail): string {
  return `${bold(subject)}\n${dim(`to ${to}, ${createdAt}`)}\n\n${text.trimEnd()}\n`;
}
