import type { MetricPoint } from "#protocol/host-agent";

const CPU_STEPS = 100;
/** Bits of a number that one byte carries; its highest bit says that more follow. */
const GROUP = 128;

const toNumbers = ({ atMs, cpuPct, memBytes, diskBytes }: MetricPoint) =>
  [atMs, cpuPct * CPU_STEPS, memBytes, diskBytes].map(Math.round);

/**
 * Points in few bytes: each number is stored as the difference to the one before it, in groups of seven bits. Times and
 * sizes are kept exactly, processor shares to a hundredth of a percent.
 */
export function encodePoints(points: readonly MetricPoint[]): Uint8Array {
  const bytes: number[] = [];
  let before = [0, 0, 0, 0];
  for (const point of points) {
    const numbers = toNumbers(point);
    for (const [field, value] of numbers.entries()) put(bytes, value - (before[field] ?? 0));
    before = numbers;
  }
  return Uint8Array.from(bytes);
}

export function decodePoints(bytes: Uint8Array): MetricPoint[] {
  const points: MetricPoint[] = [];
  const reader = { bytes, at: 0 };
  let [atMs, cpu, memBytes, diskBytes] = [0, 0, 0, 0];
  while (reader.at < bytes.length) {
    atMs += take(reader);
    cpu += take(reader);
    memBytes += take(reader);
    diskBytes += take(reader);
    points.push({ atMs, cpuPct: cpu / CPU_STEPS, memBytes, diskBytes });
  }
  return points;
}

/** Signs go into the lowest bit. Numbers are larger than bit operators can take. */
function put(bytes: number[], difference: number): void {
  let rest = difference < 0 ? -2 * difference - 1 : 2 * difference;
  for (; rest >= GROUP; rest = Math.floor(rest / GROUP)) bytes.push((rest % GROUP) + GROUP);
  bytes.push(rest);
}

function take(reader: { bytes: Uint8Array; at: number }): number {
  let [value, weight, byte] = [0, 1, GROUP];
  while (byte >= GROUP) {
    byte = reader.bytes[reader.at++] ?? 0;
    value += (byte % GROUP) * weight;
    weight *= GROUP;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
