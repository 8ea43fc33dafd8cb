import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Log } from "#kernel/log";
import { Egress } from "../egress/egress.ts";
import type { EgressSettings } from "../egress/rules.ts";
import type { StateFolder } from "../state.ts";
import type { Backend } from "./backend.ts";
import { BubblewrapBackend } from "./bubblewrap-backend.ts";
import { Disks } from "./disks.ts";
import { PlainBackend } from "./plain-backend.ts";
import { canFilter } from "./seccomp.ts";

/** This machine cannot isolate sandboxes; the message says what to do about it. */
export class NoIsolation extends Error {}

type Choice = { insecure: boolean; diskQuota: boolean; egress: EgressSettings };

const TRY_ANYWAY = "To try things out without any isolation, start with --insecure-no-isolation.";

/** The backend of this machine. No isolation is only used when it was asked for. */
export async function chooseBackend(state: StateFolder, choice: Choice, log: Log): Promise<Backend> {
  const { insecure, diskQuota, egress: settings } = choice;
  if (insecure) return new PlainBackend(join(state.runtime, "supervisor.mjs"));
  if (process.platform !== "linux" || !canFilter()) {
    throw new NoIsolation(`Isolated sandboxes need Linux on x86-64. ${TRY_ANYWAY}`);
  }
  const bubblewrap = findOnPath("bwrap");
  if (!bubblewrap) throw new NoIsolation(`bubblewrap is missing: ${installLine("bubblewrap")}. ${TRY_ANYWAY}`);
  if (!existsSync("/usr/bin/prlimit")) throw new NoIsolation(`prlimit is missing: ${installLine("util-linux")}.`);
  const help = execFileSync(bubblewrap, ["--help"], { encoding: "utf8" });
  return new BubblewrapBackend({
    bubblewrap,
    version: versionOf(bubblewrap),
    runtime: state.runtime,
    firstUser: state.firstUser,
    disks: await Disks.open({ images: state.images, workspaces: state.workspaces, enabled: diskQuota }),
    disableUserns: help.includes("--disable-userns"),
    egress: new Egress({ folder: state.ways, settings, log }),
  });
}

/** The program's own version, which it tells as `bubblewrap 0.8.0`. */
function versionOf(bubblewrap: string): string {
  return execFileSync(bubblewrap, ["--version"], { encoding: "utf8" })
    .trim()
    .replace(/^bubblewrap /, "");
}

function installLine(name: string): string {
  const managers = { "apt-get": "apt-get install -y", dnf: "dnf install -y", apk: "apk add", pacman: "pacman -S" };
  const found = Object.entries(managers).find(([manager]) => findOnPath(manager));
  return `sudo ${found?.[1] ?? "apt-get install -y"} ${name}`;
}

function findOnPath(name: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
