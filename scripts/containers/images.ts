import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Engine, NoEngine } from "#scripts/containers/engine";
import { DIST } from "#scripts/lib/paths";

export const BASE_IMAGE = "longshore-base:local";
export const SIDECAR_IMAGE = "longshore-sidecar:local";

const SUITE = "bookworm";
/** What `sandbox/image/Dockerfile` looks for, so that it need not fetch anything. */
const PACKAGES = ["ca-certificates", "tini", "git", "python3-minimal", "curl", "jq", "procps", "util-linux"];
const BASE_FILE = join(DIST, "containers", `base-${SUITE}-1.tar`);

const sh = (line: string, env: NodeJS.ProcessEnv = {}) =>
  promisify(execFile)("sh", ["-euc", line], {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...env },
    maxBuffer: 16 * 1024 * 1024,
  });

/** Makes the images that would be pulled where there is a registry: a Debian with Node, and the sidecar of containers. */
export async function makeImages(engine: Engine): Promise<void> {
  if (!existsSync(BASE_FILE)) await makeBase();
  await engine.docker("import", BASE_FILE, BASE_IMAGE);
  await engine.docker("run", "--rm", BASE_IMAGE, "true").catch((error: { stderr?: string }) => {
    throw new NoEngine(`the Docker engine cannot run a container here: ${error.stderr?.trim()}`);
  });
  const context = mkdtempSync(join(tmpdir(), "longshore-sidecar-"));
  try {
    copyFileSync(join(import.meta.dirname, "sidecar.ts"), join(context, "sidecar.ts"));
    const lines = [`FROM ${BASE_IMAGE}`, "COPY sidecar.ts /sidecar.ts", 'ENTRYPOINT ["node", "/sidecar.ts"]'];
    writeFileSync(join(context, "Dockerfile"), lines.join("\n"));
    await engine.docker("build", "--quiet", "--tag", SIDECAR_IMAGE, context);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

/** A minimal Debian and this process's Node, kept as a file for the next time. */
async function makeBase(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "longshore-base-"));
  const temporary = `${BASE_FILE}.${process.pid}`;
  mkdirSync(join(DIST, "containers"), { recursive: true });
  try {
    await sh(`debootstrap --variant=minbase --include=${PACKAGES.join(",")} ${SUITE} "$ROOT"`, { ROOT: root }).catch(
      (error: { stderr?: string; stdout?: string }) => {
        const said = `${error.stdout ?? ""}${error.stderr ?? ""}`.trim().split("\n").slice(-3).join("; ");
        throw new NoEngine(`the base image cannot be made by debootstrap: ${said || "it is not installed"}`);
      },
    );
    await sh(
      `install -D "$NODE" "$ROOT/usr/local/bin/node"
       rm -rf "$ROOT"/var/cache/apt/archives/*.deb "$ROOT"/var/lib/apt/lists/* "$ROOT"/usr/share/doc/* "$ROOT"/usr/share/man/*
       tar -C "$ROOT" -cf "$FILE" .`,
      { ROOT: root, NODE: process.execPath, FILE: temporary },
    );
    renameSync(temporary, BASE_FILE);
  } finally {
    rmSync(root, { recursive: true, force: true });
    rmSync(temporary, { force: true });
  }
}

/** Removes what the local Workers runtime leaves behind: sidecars of containers that are gone, snapshots, rebuilt tags. */
export async function prune(engine: Engine): Promise<void> {
  const lines = async (...args: string[]) => (await engine.docker(...args)).split("\n").filter(Boolean);
  const containers = await lines("ps", "--all", "--quiet", "--filter", "name=^workerd-longshore-");
  if (containers.length > 0) await engine.docker("rm", "--force", ...containers);
  const images = await lines("images", "--format", "{{.Repository}}:{{.Tag}}");
  const ours = images.filter((name) => /^(cloudflare-dev\/sandboxcontainer|workerd-)/.test(name));
  if (ours.length > 0) await engine.docker("rmi", "--force", ...ours).catch(() => undefined);
}
