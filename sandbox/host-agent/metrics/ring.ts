import type { MetricPoint } from "#protocol/host-agent";

const FIELDS = 4;

/** The newest points, oldest first and strictly later than each other. A full ring forgets its oldest point. */
export class MetricRing {
  readonly #values: Float64Array;
  readonly #capacity: number;
  #oldest = 0;
  #count = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#values = new Float64Array(capacity * FIELDS);
  }

  /** Adds a point. Those of the same time or a later one, left by a clock that was set back, are forgotten. */
  push({ atMs, cpuPct, memBytes, diskBytes }: MetricPoint): void {
    while (this.#count > 0 && (this.#values[this.#offset(this.#count - 1)] ?? 0) >= atMs) this.#count--;
    if (this.#count === this.#capacity) this.#oldest = (this.#oldest + 1) % this.#capacity;
    else this.#count++;
    this.#values.set([atMs, cpuPct, memBytes, diskBytes], this.#offset(this.#count - 1));
  }

  points(): MetricPoint[] {
    return Array.from({ length: this.#count }, (_, index) => {
      const at = this.#offset(index);
      const [atMs = 0, cpuPct = 0, memBytes = 0, diskBytes = 0] = this.#values.subarray(at, at + FIELDS);
      return { atMs, cpuPct, memBytes, diskBytes };
    });
  }

  #offset(index: number): number {
    return ((this.#oldest + index) % this.#capacity) * FIELDS;
  }
}
