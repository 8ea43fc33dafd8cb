import type { SandboxLink } from "#domain/sandbox/ports";
import { ToolFailure } from "#domain/tool/tool";
import { collectBytes } from "#kernel/bytes";
import type { FileStat } from "#protocol/supervisor";

/** Largest file the text tools take into memory. */
const MAX_TEXT_BYTES = 10 * 1024 * 1024;

/** Reads a UTF-8 file. Throws `ToolFailure` for one that is binary or too large, `Fault` when it cannot be read. */
export async function readText(link: SandboxLink, path: string): Promise<{ text: string; stat: FileStat }> {
  const { stat, body } = await link.read(path, MAX_TEXT_BYTES + 1);
  const tooLarge = (size: string) =>
    new ToolFailure(`${path} has ${size} bytes; files over ${MAX_TEXT_BYTES} bytes cannot be opened as text`);
  if (stat.size > MAX_TEXT_BYTES) {
    await body.cancel();
    throw tooLarge(`${stat.size}`);
  }
  const bytes = await collectBytes(body, MAX_TEXT_BYTES);
  if (!bytes) throw tooLarge(`over ${MAX_TEXT_BYTES}`);
  if (bytes.includes(0)) throw new ToolFailure(`${path} is a binary file`);
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), stat };
  } catch {
    throw new ToolFailure(`${path} is a binary file or not UTF-8 text`);
  }
}
