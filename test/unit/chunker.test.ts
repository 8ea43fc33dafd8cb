import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from "#protocol/chunks";
import { cutLength } from "#sandbox/host-agent/snapshots/chunker";

const MIB = 1024 * 1024;

/** Bytes that look random and are the same in every run. */
function noise(seed: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed || 1;
  for (let at = 0; at + 4 <= size; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}

function cut(bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const size = cutLength(rest.subarray(0, MAX_CHUNK_BYTES));
    chunks.push(rest.subarray(0, size));
    rest = rest.subarray(size);
  }
  return chunks;
}

const hashes = (chunks: Buffer[]) => chunks.map((chunk) => createHash("sha256").update(chunk).digest("hex"));

test("chunks put together are what was cut, and all but the last have the size of a chunk", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 9 * MIB }), (seed, size) => {
      const bytes = noise(seed, size);
      const chunks = cut(bytes);
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
      for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
      for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBeGreaterThanOrEqual(MIN_CHUNK_BYTES);
    }),
    { numRuns: 20 },
  );
});

test("what is put in, taken out or changed somewhere changes a few chunks alone", () => {
  const bytes = noise(7, 24 * MIB);
  const before = new Set(hashes(cut(bytes)));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: bytes.length }),
      fc.integer({ min: 0, max: 5000 }),
      fc.integer({ min: 0, max: 5000 }),
      (at, removed, added) => {
        const changed = Buffer.concat([bytes.subarray(0, at), noise(at + 1, added), bytes.subarray(at + removed)]);
        const fresh = hashes(cut(changed)).filter((hash) => !before.has(hash));
        expect(fresh.length).toBeLessThanOrEqual(5);
      },
    ),
    { numRuns: 20 },
  );
});

test("chunks are about one MiB, whatever stands in front of them", () => {
  const sizes = cut(noise(3, 96 * MIB)).map(({ length }) => length);
  const mean = sizes.reduce((a, b) => a + b, 0) / sizes.length;
  expect(mean).toBeGreaterThan(0.7 * MIB);
  expect(mean).toBeLessThan(1.6 * MIB);
});

test("cuts never change: equal content would not be found again", () => {
  expect(cut(noise(42, 8 * MIB)).map(({ length }) => length)).toMatchInlineSnapshot(`
    [
      1068560,
      1092380,
      1080560,
      1059579,
      1139624,
      1150969,
      1079984,
      707880,
      9072,
    ]
  `);
});

test("bytes that are all alike are cut at the largest size, and nothing is one empty chunk", () => {
  expect(cut(Buffer.alloc(9 * MIB)).map(({ length }) => length)).toEqual([4 * MIB, 4 * MIB, MIB]);
  expect(cutLength(new Uint8Array())).toBe(0);
});
