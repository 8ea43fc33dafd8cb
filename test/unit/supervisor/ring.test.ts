import fc from "fast-check";
import { expect, test } from "vitest";
import { OUTPUT_STREAMS, type OutputStream } from "#protocol/supervisor-values";
import { OutputRing } from "#sandbox/supervisor/ring";

type Model = { bytes: number[]; streams: OutputStream[] };

const write = fc.record({
  stream: fc.constantFrom(...OUTPUT_STREAMS),
  bytes: fc.uint8Array({ maxLength: 40 }),
});
const look = fc.record({ reader: fc.nat(2), limit: fc.integer({ min: 1, max: 60 }), cut: fc.boolean() });

test("any interleaving of writes, reads and cuts gives the exact bytes, or an honest gap", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 128 }),
      fc.array(fc.oneof(write, look), { maxLength: 200 }),
      (capacity, steps) => {
        const ring = new OutputRing(capacity);
        const all: Model = { bytes: [], streams: [] };
        const readers = [0, 0, 0];
        for (const step of steps) {
          if ("stream" in step) {
            ring.push(step.stream, Buffer.from(step.bytes));
            for (const byte of step.bytes) {
              all.bytes.push(byte);
              all.streams.push(step.stream);
            }
            expect(ring.end).toBe(all.bytes.length);
            expect(ring.end - ring.start).toBe(Math.min(all.bytes.length, capacity));
            continue;
          }
          const at = readers[step.reader]!;
          const { from, chunks, next } = ring.read(at, step.limit);
          expect(from).toBe(Math.max(at, ring.start));
          expect(next).toBe(Math.min(ring.end, from + step.limit));
          let offset = from;
          for (const chunk of chunks) {
            expect(chunk.offset).toBe(offset);
            const range = [offset, offset + chunk.data.length] as const;
            expect([...chunk.data]).toEqual(all.bytes.slice(...range));
            expect(new Set(all.streams.slice(...range))).toEqual(new Set([chunk.stream]));
            offset += chunk.data.length;
          }
          expect(offset).toBe(next);
          // A reader that was cut comes back with what it had got to before.
          if (!step.cut) readers[step.reader] = next;
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("streams that take turns byte by byte cost a bounded memory, and what is dropped for it shows as a gap", () => {
  const ring = new OutputRing(1024 * 1024);
  const turns = 100_000;
  for (let index = 0; index < turns; index++) {
    ring.push(index % 2 ? "stdout" : "stderr", Buffer.from([index & 255]));
  }
  expect(ring.end).toBe(turns);
  expect(ring.start).toBeGreaterThan(turns - 5000);
  const { chunks, from } = ring.read(0, turns);
  expect(from).toBe(ring.start);
  expect(chunks.map(({ data }) => data[0])).toEqual(Array.from({ length: turns - from }, (_, i) => (from + i) & 255));
});

test("it takes only as much memory as there is output, up to its capacity", () => {
  const ring = new OutputRing(256 * 1024);
  ring.push("stdout", Buffer.alloc(100));
  expect(ring.size).toBe(4096);
  ring.push("stdout", Buffer.alloc(1_000_000, 7));
  expect([ring.size, ring.end - ring.start]).toEqual([256 * 1024, 256 * 1024]);
});
