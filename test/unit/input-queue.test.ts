import fc from "fast-check";
import { expect, test } from "vitest";
import { InputQueue } from "#domain/process/input-queue";

const MIB = 1024 * 1024;

test("bytes arrive whole and in order, however they are cut and however long each write takes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 9 })), fc.array(fc.nat(3)), async (pieces, pauses) => {
      const written: number[] = [];
      let under = 0;
      const queue = new InputQueue(
        async (bytes) => {
          expect(++under).toBe(1);
          for (let i = pauses.pop() ?? 0; i > 0; i--) await Promise.resolve();
          written.push(...bytes);
          under -= 1;
        },
        () => {},
      );
      for (const piece of pieces) {
        expect(queue.add(piece)).toBe(true);
        if (piece.length % 2) await Promise.resolve();
      }
      await new Promise((resolve) => setImmediate(resolve));
      expect(written).toEqual(pieces.flatMap((piece) => [...piece]));
    }),
  );
});

test("what waits goes together, at most a mebibyte at once, and more than eight are refused", async () => {
  const gate = Promise.withResolvers<void>();
  const sizes: number[] = [];
  const queue = new InputQueue(
    async ({ byteLength }) => {
      sizes.push(byteLength);
      await gate.promise;
    },
    () => {},
  );
  queue.add(new Uint8Array(1));
  for (let i = 0; i < 16; i++) expect(queue.add(new Uint8Array(MIB / 2))).toBe(true);
  expect(queue.add(new Uint8Array(1))).toBe(false);
  gate.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(sizes).toEqual([1, ...Array(8).fill(MIB)]);
  expect(queue.add(new Uint8Array(1))).toBe(true);
});

test("a write that fails is told, and holds up no other", async () => {
  const [written, failures]: [number[], unknown[]] = [[], []];
  const queue = new InputQueue(
    async (bytes) => {
      if (bytes[0] === 1) throw new Error("no");
      written.push(...bytes);
    },
    (error) => failures.push(error),
  );
  for (const byte of [1, 2, 3]) queue.add(Uint8Array.of(byte));
  await new Promise((resolve) => setImmediate(resolve));
  expect([written, failures]).toEqual([[2, 3], [new Error("no")]]);
});
