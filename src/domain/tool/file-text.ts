import type { SandboxLink } from "#domain/sandbox/ports";
import { ToolFailure } from "#domain/tool/tool";
import type { FileStat } from "#protocol/supervisor";

/** Largest file the text tools take into memory. */
const MAX_TEXT_BYTES = 10 * 1024 * 1024;

/** Reads a UTF-8 file. Throws `ToolFailure` for one that is binary or too large, `Fault` when it cannot be read. */
export async function readText(link: SandboxLink, path: string): Promise<{ text: string; stat: FileStat }> {
  const { stat, body } = await link.read(path, MAX_TEXT_BYTES + 1);
  if (stat.size > MAX_TEXT_BYTES) {
    await body.cancel();
    throw new ToolFailure(
      `${path} has ${stat.size} bytes; files over ${MAX_TEXT_BYTES} bytes cannot be opened as text`,
    );
  }
  const bytes = await collect(body);
  if (bytes.includes(0)) throw new ToolFailure(`${path} is a binary file`);
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), stat };
  } catch {
    throw new ToolFailure(`${path} is a binary file or not UTF-8 text`);
  }
}

async function collect(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    size += next.value.byteLength;
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
