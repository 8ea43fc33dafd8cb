import { readdirSync } from "node:fs";
import { readOrEmpty } from "./quietly.ts";

/** One process of this machine. `ticks` is the time it and its ended children have computed, `pages` its memory. */
export type ListedProcess = { pid: number; parent: number; state: string; ticks: number; pages: number };

/** Positions in /proc/PID/stat, counted from the state, which follows the program's name. */
const PARENT = 1;
const TIMES = [11, 12, 13, 14];
const PAGES = 21;

/** The processes of this machine at one moment; none where there is no /proc. */
export class ProcessTable {
  readonly #byPid: Map<number, ListedProcess>;
  readonly #children: Map<number, ListedProcess[]>;

  constructor(processes: readonly ListedProcess[]) {
    this.#byPid = new Map(processes.map((each) => [each.pid, each]));
    this.#children = Map.groupBy(processes, ({ parent }) => parent);
  }

  static read(): ProcessTable {
    const names = process.platform === "linux" ? readdirSync("/proc") : [];
    return new ProcessTable(
      names.flatMap((name) => {
        const listed = /^\d+$/.test(name) && readProcess(readOrEmpty(`/proc/${name}/stat`));
        return listed ? [listed] : [];
      }),
    );
  }

  /** A process and everything that descends from it, parents first. */
  tree(root: number): ListedProcess[] {
    const first = this.#byPid.get(root);
    const tree = first ? [first] : [];
    for (const { pid } of tree) tree.push(...(this.#children.get(pid) ?? []));
    return tree;
  }
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
