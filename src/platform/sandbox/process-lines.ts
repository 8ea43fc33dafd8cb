import { Fault } from "#kernel/fault";
import { KEPT_OUTPUT, ProcessLine } from "#protocol/supervisor";

/** Far more than a line of the protocol holds. */
const MAX_LINE = KEPT_OUTPUT.other * 2;

/**
 * The lines of a process's stream as they come; nothing is read ahead of who takes them. Throws `host_lost` when the
 * bytes break off, `sandbox_failed` for what is no line of the protocol, and the signal's reason as soon as it aborts.
 */
export async function* readProcessLines(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<ProcessLine, void> {
  const reader = body.getReader();
  const leave = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", leave, { once: true });
  try {
    yield* lines(reader, signal);
  } finally {
    signal.removeEventListener("abort", leave);
    leave();
  }
}

async function* lines(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<ProcessLine, void> {
  const decoder = new TextDecoder();
  for (let rest = ""; ; ) {
    const read = await reader.read().catch(() => undefined);
    signal.throwIfAborted();
    if (!read || read.done) throw new Fault("host_lost", "the connection to the process was lost");
    const whole = (rest + decoder.decode(read.value, { stream: true })).split("\n");
    rest = whole.pop() ?? "";
    if (rest.length > MAX_LINE) throw notUnderstood();
    for (const line of whole) {
      yield parse(line);
      signal.throwIfAborted();
    }
  }
}

function parse(line: string): ProcessLine {
  try {
    return ProcessLine.parse(JSON.parse(line));
  } catch {
    throw notUnderstood();
  }
}

const notUnderstood = () => new Fault("sandbox_failed", "the host sent an answer that is not understood");
