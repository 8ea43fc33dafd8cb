import type { SandboxLink } from "#domain/sandbox/ports";
import { limitedStream } from "#kernel/bytes";
import { Fault } from "#kernel/fault";

/**
 * Writes a file from a stream, without keeping it: missing parents are made, a file that is there is replaced when all
 * has come. One of more than `limitBytes` is `too_large` and changes nothing.
 */
export async function receiveFile(
  link: SandboxLink,
  path: string,
  body: ReadableStream<Uint8Array>,
  limitBytes = Number.POSITIVE_INFINITY,
): Promise<void> {
  let tooLarge: Fault | undefined;
  const limited = limitedStream(body, limitBytes, () => {
    tooLarge = new Fault("too_large", `a file has at most ${limitBytes} bytes here`);
    return tooLarge;
  });
  try {
    await link.write(path, limited, { overwrite: true });
  } catch (error) {
    // The connection that the bytes went into breaks with an error of its own.
    throw tooLarge ?? error;
  }
}
