import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describeBackend } from "#test/node/backend-suite";
import { callMachine } from "#test/node/fake-containers";

const { CONTAINERS_URL = "", CONTAINERS_DOCKER = "", SIGNING_KEY = "" } = process.env;

async function docker(...args: string[]): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: CONTAINERS_DOCKER };
  return (await promisify(execFile)("docker", args, { env })).stdout.trim();
}

/** Kills the container that a sandbox runs in, known by the record its agent keeps. */
async function killContainerOf(sandboxId: string): Promise<void> {
  const record = `/var/lib/longshore/container/private/sandboxes/${sandboxId}.json`;
  const running = (await docker("ps", "--format", "{{.ID}} {{.Names}}")).split("\n");
  for (const [id = "", name = ""] of running.map((line) => line.split(" "))) {
    if (name.endsWith("-proxy")) continue;
    const isIts = await docker("exec", id, "test", "-e", record).then(
      () => true,
      () => false,
    );
    if (isIts) return void (await docker("kill", id));
  }
  throw new Error(`no container runs ${sandboxId}`);
}

describeBackend("real containers by ctx.container", async () => ({
  pauseKeeps: "files",
  lossKeeps: "saved",
  call: (method, path, call) => callMachine(`${CONTAINERS_URL}${path}`, method, { SIGNING_KEY }, call),
  lose: killContainerOf,
  close: async () => {
    // What started the server ends it.
  },
}));
