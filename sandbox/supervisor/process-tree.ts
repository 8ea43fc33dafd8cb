import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SECOND } from "#kernel/time";

/** Name of the environment variable that marks the processes of a command. */
export const MARKER = "LONGSHORE_EXEC";

/**
 * What makes a process part of a command. Descent from `rootPid` finds the ordinary ones; a child that was orphaned
 * still carries the marker in its environment; one that cleared that too still has the command's own hard limit on
 * file size, which a process without privileges can lower but never raise.
 */
export type TreeMark = { rootPid: number | null; marker: string; fileSizeLimit: number };

type Process = { pid: number; parent: number; state: string };

const SWEEP_DEADLINE_MS = 10 * SECOND;
const ROUND_MS = 2;

/**
 * Kills everything of a command and answers when none of it is left, or after ten seconds of trying. Processes are
 * stopped before they are killed, so that one which keeps forking cannot outrun the sweep.
 */
export async function killTree(mark: () => TreeMark): Promise<void> {
  if (process.platform !== "linux") return signalGroup(mark().rootPid, "SIGKILL");
  // Most commands are no more than their group, and a busy machine takes its time to tell who else there is.
  signalGroup(mark().rootPid, "SIGSTOP");
  const deadline = performance.now() + SWEEP_DEADLINE_MS;
  while (performance.now() < deadline) {
    const members = membersOf(mark());
    if (members.length === 0) return;
    const running = members.filter(({ state }) => state !== "T");
    if (running.length > 0) signalAll(running, "SIGSTOP");
    if (running.length === 0 || !(await settled(mark))) signalAll(members, "SIGKILL");
    await sleep(ROUND_MS);
  }
}

/** Sends everything of a command a signal that it may handle; a stopped process goes on, to get it. */
export function signalTree(mark: TreeMark, signal: NodeJS.Signals): void {
  if (process.platform !== "linux") {
    signalGroup(mark.rootPid, signal);
    return;
  }
  const members = membersOf(mark);
  signalAll(members, signal);
  signalAll(members, "SIGCONT");
}

/** Kills what carries any marker with this prefix, without waiting; for the end of the supervisor itself. */
export function killMarked(prefix: string): void {
  if (process.platform !== "linux") return;
  signalAll(
    listProcesses().filter(({ pid }) => markerOf(pid)?.startsWith(prefix)),
    "SIGKILL",
  );
}

/** Whether stopping has reached everything: a process in a system call may take a moment. */
async function settled(mark: () => TreeMark): Promise<boolean> {
  await sleep(ROUND_MS);
  return membersOf(mark()).some(({ state }) => state !== "T" && state !== "D");
}

function signalGroup(rootPid: number | null, signal: NodeJS.Signals): void {
  if (rootPid === null) return;
  try {
    process.kill(-rootPid, signal);
  } catch {
    // Nothing of the group is left.
  }
}

function signalAll(processes: readonly Process[], signal: NodeJS.Signals): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended since the scan.
    }
  }
}

/** Live processes of a command. A zombie runs nothing and is left to whoever reaps it. */
function membersOf(mark: TreeMark): Process[] {
  const all = listProcesses();
  const members = new Set<number>();
  for (const { pid } of all) {
    if (pid === mark.rootPid || (pid !== process.pid && isMarked(pid, mark))) members.add(pid);
  }
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const { pid, parent } of all) if (members.has(parent)) members.add(pid);
  }
  return all.filter(({ pid, state }) => members.has(pid) && state !== "Z" && state !== "X");
}

function isMarked(pid: number, mark: TreeMark): boolean {
  if (markerOf(pid) === mark.marker) return true;
  const limits = readOrEmpty(`/proc/${pid}/limits`);
  return new RegExp(`^Max file size +\\S+ +${mark.fileSizeLimit} `, "m").test(limits);
}

function markerOf(pid: number): string | undefined {
  const entry = readOrEmpty(`/proc/${pid}/environ`)
    .split("\0")
    .find((line) => line.startsWith(`${MARKER}=`));
  return entry?.slice(MARKER.length + 1);
}

function listProcesses(): Process[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    const status = readOrEmpty(`/proc/${pid}/stat`);
    // The program's name is in parentheses and may hold anything, so fields are counted from the last one.
    const [state, parent] = status.slice(status.lastIndexOf(")") + 2).split(" ");
    return state && parent ? [{ pid, parent: Number(parent), state }] : [];
  });
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
