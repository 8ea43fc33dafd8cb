import { median, type Row } from "#scripts/bench/measure";
import { childrenOf, readProc, treeOf } from "#scripts/lib/process-tree";
import { ticksOf } from "#scripts/lib/processor-time";

const TICKS_PER_SECOND = 100;
const KIB = 1024;
/** Many sandboxes on one machine must be sampled for next to nothing: share of one processor, in percent. */
const SAMPLING_AIM = 2;

/** One sandbox as its machine sees it: its processes' share of memory in MiB, and what its control group counts. */
export type SandboxMemory = { id: string; pssMib: number; groupMib: number | null };

export type Fleet = {
  /** Process that all sandboxes descend from. */
  agentPid: number;
  /** Starts one sandbox; answers with its id and the milliseconds it took. */
  start: (index: number) => Promise<{ id: string; bootMs: number }>;
  count: number;
  /** How long the idle sandboxes are watched. */
  watchMs: number;
};

export type FleetFigures = {
  bootMs: number[];
  sandboxes: SandboxMemory[];
  agentMib: number;
  /** What the agent computes while nothing happens, in percent of one processor. */
  agentCpuPct: number;
};

/** Starts many sandboxes one after the other, leaves them idle, and measures what that takes. Linux only. */
export async function measureFleet({ agentPid, start, count, watchMs }: Fleet): Promise<FleetFigures> {
  const started: { id: string; bootMs: number }[] = [];
  for (let index = 0; index < count; index++) started.push(await start(index));
  const [begin, ticks] = [performance.now(), ticksOf(agentPid)];
  await new Promise((resolve) => setTimeout(resolve, watchMs));
  const seconds = (performance.now() - begin) / 1000;
  const agentCpuPct = (((ticksOf(agentPid) - ticks) / TICKS_PER_SECOND) * 100) / seconds;
  return {
    bootMs: started.map(({ bootMs }) => bootMs),
    sandboxes: memoryOf(agentPid),
    agentMib: pssKib(agentPid) / KIB,
    agentCpuPct,
  };
}

/** The figures as rows of the benchmark. */
export function fleetRows({ bootMs, sandboxes, agentMib, agentCpuPct }: FleetFigures): Row[] {
  const each = sandboxes.map(({ pssMib }) => pssMib);
  const row = (figure: string, value: string, aim = "", met: boolean | null = null): Row => ({
    figure,
    value,
    aim,
    met,
  });
  return [
    row(`cold start of a sandbox, median of ${bootMs.length}`, `${median(bootMs).toFixed(0)} ms`),
    row(
      `memory of each of ${each.length} idle sandboxes (shared pages by share)`,
      `${median(each).toFixed(1)} MiB (${Math.min(...each).toFixed(1)} to ${Math.max(...each).toFixed(1)})`,
    ),
    row("memory of the host agent beside them", `${agentMib.toFixed(0)} MiB`),
    row(
      `processor time of the host agent while all of them idle`,
      `${agentCpuPct.toFixed(2)} % of one`,
      `<= ${SAMPLING_AIM} %`,
      agentCpuPct <= SAMPLING_AIM,
    ),
  ];
}

/** One line for each direct child of the agent, which is one sandbox each. */
function memoryOf(agentPid: number): SandboxMemory[] {
  const children = childrenOf();
  return (children.get(agentPid) ?? []).map((top) => {
    const tree = treeOf(top, children);
    const groups = tree.map((pid) => /^\d+:memory:(.*)$/m.exec(readProc(`/proc/${pid}/cgroup`))?.[1]);
    const group = groups.find((path) => path?.includes("/longshore/"));
    const bytes = group && readProc(`/sys/fs/cgroup/memory${group}/memory.usage_in_bytes`);
    return {
      id: group?.split("/").at(-1) ?? String(top),
      pssMib: tree.reduce((sum, pid) => sum + pssKib(pid), 0) / KIB,
      groupMib: bytes ? Number(bytes) / KIB / KIB : null,
    };
  });
}

const pssKib = (pid: number) => Number(/^Pss:\s+(\d+)/m.exec(readProc(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
