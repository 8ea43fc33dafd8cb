/** The value at a share (0..1) of the sorted samples, in the unit of the samples. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

/** Milliseconds `work` took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/**
 * Measures two things by turns, so that a busy neighbour slows both alike.
 * The first `warmUp` turns do not count.
 */
export async function byTurns(
  turns: number,
  ours: (turn: number) => Promise<number>,
  bare: (turn: number) => Promise<number>,
  warmUp = 10,
): Promise<{ ours: number; bare: number }> {
  const samples: { ours: number[]; bare: number[] } = { ours: [], bare: [] };
  for (let turn = 0; turn < turns + warmUp; turn++) {
    const [a, b] = [await ours(turn), await bare(turn)];
    if (turn >= warmUp) {
      samples.ours.push(a);
      samples.bare.push(b);
    }
  }
  return { ours: median(samples.ours), bare: median(samples.bare) };
}

export type Row = { figure: string; value: string; aim: string; met: boolean | null };

const round = (n: number) => (n >= 100 ? n.toFixed(0) : n.toFixed(1));

/** A figure that is a ratio to the bare platform. */
export function ratioRow(figure: string, { ours, bare }: { ours: number; bare: number }, aim: number | null): Row {
  const ratio = ours / bare;
  return {
    figure,
    value: `${ratio.toFixed(2)} x bare (${round(ours)} ms : ${round(bare)} ms)`,
    aim: aim === null ? "" : `<= ${aim} x`,
    met: aim === null ? null : ratio <= aim,
  };
}

/** A figure that is a difference to the bare platform, in milliseconds. */
export function overheadRow(figure: string, { ours, bare }: { ours: number; bare: number }, aim: number): Row {
  const extra = ours - bare;
  return {
    figure,
    value: `${extra < 0 ? "" : "+"}${round(extra)} ms (${round(ours)} ms : ${round(bare)} ms)`,
    aim: `<= +${aim} ms`,
    met: extra <= aim,
  };
}
