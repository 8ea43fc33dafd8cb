import fc from "fast-check";
import { expect, test } from "vitest";
import { collectBytes } from "#kernel/bytes";

/** A stream that makes a chunk when it is asked for one; it tells how many it made, and whether it was cancelled. */
function streamOf(chunks: readonly Uint8Array[]) {
  const seen = { made: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[seen.made++];
        if (chunk) controller.enqueue(chunk);
        else controller.close();
      },
      cancel() {
        seen.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, seen };
}

test("a stream up to its limit comes in one piece and in order, and one beyond it not at all", async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(chunks, fc.nat(60), async (parts, limitBytes) => {
      const whole = parts.flatMap((part) => [...part]);
      const bytes = await collectBytes(streamOf(parts).stream, limitBytes);
      expect(bytes && [...bytes]).toEqual(whole.length <= limitBytes ? whole : undefined);
    }),
  );
});

test("the rest of a stream that is too long is cancelled, not read", async () => {
  const { stream, seen } = streamOf([new Uint8Array(3), new Uint8Array(2), new Uint8Array(1), new Uint8Array(1)]);
  expect(await collectBytes(stream, 4)).toBeUndefined();
  expect(seen).toEqual({ made: 2, cancelled: true });
});

test("what breaks a stream reaches the caller", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const collected = collectBytes(readable, 10);
  await Promise.all([expect(collected).rejects.toThrow("cut"), writable.getWriter().abort(new Error("cut"))]);
});
