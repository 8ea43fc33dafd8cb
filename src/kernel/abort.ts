/** The promise's outcome, or the signal's reason as soon as it aborts; what the promise does later is ignored. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    const settled = () => signal.removeEventListener("abort", abort);
    promise.then(resolve, reject).finally(settled);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}

/** Passes a stream on until the signal aborts, then throws its reason at once, even when the source hangs. */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let rejectNext: (reason: unknown) => void = () => {};
  const abort = () => rejectNext(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        rejectNext = reject;
        iterator.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    // Not awaited: a source that hangs would hold up its reader.
    Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
