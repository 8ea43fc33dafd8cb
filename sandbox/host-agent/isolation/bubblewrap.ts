import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { SandboxLimits } from "#protocol/host-agent";
import { WORKSPACE_ROOT } from "#protocol/supervisor-values";
import { SUPERVISOR_FLAGS } from "../flags.ts";
import { ACCOUNTS, SANDBOX_USER } from "../runtime.ts";

/** Where Node and the supervisor are, seen from inside. */
export const RUNTIME_FOLDER = "/opt/longshore";

/** Where the socket of its proxy is, in a sandbox that has one. */
const PROXY_SOCKET = "/run/longshore-proxy";

/** Descriptors of the bubblewrap process, beyond the standard three. */
export const DESCRIPTORS = { args: 3, seccomp: 4, supervisor: 5, block: 6, status: 7 } as const;

const SYSTEM_FOLDERS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const SMALL_TMPFS_BYTES = 16 * 1024 * 1024;
const TMP_BYTES = 64 * 1024 * 1024;
/** Room for the list of a sandbox's files, and for sorting it. */
const ARCHIVER_TMP_BYTES = 256 * 1024 * 1024;
const ARCHIVER_MEMORY_BYTES = 1024 * 1024 * 1024;
const OPEN_FILES = 1024;
/** Where a control group counts processes too it comes first, since it tells when it has refused one. */
const SPARE_PROCESSES = 8;

type Input = {
  workspace: string;
  runtime: string;
  disableUserns: boolean;
  /** Socket of the sandbox's proxy; undefined for one that reaches nothing. */
  proxy: string | undefined;
};

/** What goes through the arguments descriptor, so that no path of the host shows in a command line. */
export function bubblewrapArguments(input: Input): string[] {
  return [
    ...["--unshare-all", "--unshare-user", ...userArguments(), "--hostname", "sandbox"],
    ...(input.disableUserns ? ["--disable-userns"] : []),
    ...["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"],
    ...["--ro-bind", "/usr", "/usr", ...systemFolders()],
    ...["--dir", "/etc", ...readOnlyIfPresent("/etc/ssl", "/etc/alternatives", "/etc/ld.so.cache")],
    // Without it programs compare every time zone there is, to find the machine's: 20 ms for Node.
    ...["--symlink", "/usr/share/zoneinfo/Etc/UTC", "/etc/localtime"],
    ...Object.keys(ACCOUNTS).flatMap((name) => ["--ro-bind", join(input.runtime, name), `/etc/${name}`]),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--size", String(TMP_BYTES), "--tmpfs", "/tmp"],
    ...["--size", String(SMALL_TMPFS_BYTES), "--tmpfs", "/run"],
    ...["--size", String(SMALL_TMPFS_BYTES), "--tmpfs", "/dev/shm"],
    ...["--ro-bind", input.runtime, RUNTIME_FOLDER],
    ...(input.proxy === undefined ? [] : ["--ro-bind", input.proxy, PROXY_SOCKET]),
    ...["--bind", input.workspace, WORKSPACE_ROOT, "--chdir", WORKSPACE_ROOT],
    ...["--remount-ro", "/dev", "--remount-ro", "/"],
    ...["/proc/kallsyms", "/proc/config.gz"].filter((path) => existsSync(path)).flatMap(masked),
    ...["--seccomp", String(DESCRIPTORS.seccomp)],
    ...["--block-fd", String(DESCRIPTORS.block), "--json-status-fd", String(DESCRIPTORS.status)],
  ];
}

/**
 * The same for what packs or unpacks a sandbox's files: nothing but those and the system's programs. Whatever is packed
 * is only read, also where its owner took away the right to.
 */
export function archiverArguments(input: { workspace: string; packs: boolean; disableUserns: boolean }): string[] {
  return [
    ...["--unshare-all", "--unshare-user", ...userArguments(), "--hostname", "sandbox"],
    ...(input.disableUserns ? ["--disable-userns"] : []),
    ...["--die-with-parent", "--new-session", "--cap-drop", "ALL"],
    ...(input.packs ? ["--cap-add", "CAP_DAC_READ_SEARCH"] : []),
    ...["--clearenv", "--setenv", "PATH", "/usr/bin:/bin"],
    ...["--ro-bind", "/usr", "/usr", ...systemFolders()],
    ...["--proc", "/proc", "--dev", "/dev", "--size", String(ARCHIVER_TMP_BYTES), "--tmpfs", "/tmp"],
    ...[input.packs ? "--ro-bind" : "--bind", input.workspace, WORKSPACE_ROOT, "--chdir", WORKSPACE_ROOT],
    ...["--remount-ro", "/dev", "--remount-ro", "/"],
    ...["--seccomp", String(DESCRIPTORS.seccomp)],
  ];
}

/** Bounds a program that packs or unpacks; `fileBytes` is the largest file that it may write. */
export const archiverLimits = (fileBytes: number): string[] => [
  ...["/usr/bin/prlimit", "--core=0", `--as=${ARCHIVER_MEMORY_BYTES}`, `--fsize=${fileBytes}`],
];

/**
 * The first program inside: the limits that every process inherits, then the supervisor. They are set inside the user
 * namespace, where the number of processes is counted for this sandbox alone.
 */
export function supervisorCommand(
  limits: SandboxLimits,
  { pidsInGroup, proxied }: { pidsInGroup: boolean; proxied: boolean },
): string[] {
  const processes = pidsInGroup ? limits.pids + SPARE_PROCESSES : limits.pids;
  return [
    ...["/usr/bin/prlimit", "--core=0", `--nofile=${OPEN_FILES}`, `--nproc=${processes}`],
    `--fsize=${limits.diskMb * 1024 * 1024}`,
    ...[`${RUNTIME_FOLDER}/node`, ...SUPERVISOR_FLAGS, `${RUNTIME_FOLDER}/supervisor.mjs`],
    ...[String(DESCRIPTORS.supervisor), WORKSPACE_ROOT, ...(proxied ? [PROXY_SOCKET] : [])],
  ];
}

/** `/bin` and its like as they are on this machine: links into `/usr`, or folders of their own. */
function systemFolders(): string[] {
  return SYSTEM_FOLDERS.flatMap((path) => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (!stats) return [];
    return stats.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
  });
}

const userArguments = () => ["--uid", String(SANDBOX_USER.id), "--gid", String(SANDBOX_USER.id)];

const readOnlyIfPresent = (...paths: string[]) => paths.flatMap((path) => ["--ro-bind-try", path, path]);

const masked = (path: string) => ["--ro-bind", "/dev/null", path];
