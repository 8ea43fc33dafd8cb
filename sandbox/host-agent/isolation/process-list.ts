import { readdirSync } from "node:fs";
import { readOrEmpty } from "./quietly.ts";

/** One process of this machine. `ticks` is the time it and its ended children have computed, `pages` its memory. */
export type ListedProcess = { pid: number; parent: number; state: string; ticks: number; pages: number };

/** Positions in /proc/PID/stat, counted from the state, which follows the program's name. */
const PARENT = 1;
const TIMES = [11, 12, 13, 14];
const PAGES = 21;

/** All processes of this machine; none where there is no /proc. */
export function listProcesses(): ListedProcess[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").flatMap((name) => {
    const listed = /^\d+$/.test(name) && readProcess(readOrEmpty(`/proc/${name}/stat`));
    return listed ? [listed] : [];
  });
}

/** Reads the text of /proc/PID/stat; undefined when it is none. */
export function readProcess(stat: string): ListedProcess | undefined {
  // The program's name is in parentheses and may hold anything, so fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields.length <= PAGES) return undefined;
  return {
    pid: Number.parseInt(stat, 10),
    parent: Number(fields[PARENT]),
    state: fields[0] ?? "",
    ticks: TIMES.reduce((sum, at) => sum + Number(fields[at]), 0),
    pages: Number(fields[PAGES]),
  };
}

/** The process `root` and everything that descends from it. */
export function treeOf(root: number, all: readonly ListedProcess[]): ListedProcess[] {
  const children = Map.groupBy(all, ({ parent }) => parent);
  const tree = all.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}
