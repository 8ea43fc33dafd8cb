import { z } from "zod";
import { readText } from "#domain/tool/file-text";
import { cutLine } from "#domain/tool/text";
import { defineTool, ToolFailure, textOutput } from "#domain/tool/tool";

const DEFAULT_LINES = 2_000;
const MAX_LINE_CHARS = 2_000;
const MAX_CHARS = 100_000;

/** Reads lines of a text file with their numbers. */
export const readTool = defineTool({
  name: "Read",
  description:
    "Read a text file of the workspace. Every line is shown with its number and a tab, which are not part of the file. " +
    `Shows ${DEFAULT_LINES} lines unless told otherwise; lines over ${MAX_LINE_CHARS} characters are cut.`,
  input: z.object({
    file_path: z.string().min(1).describe("Path of the file, absolute below /workspace or relative to it"),
    offset: z.int().min(1).optional().describe("Number of the first line to show, from 1"),
    limit: z.int().min(1).max(DEFAULT_LINES).optional().describe("How many lines to show"),
  }),
  retry: "safe",
  async run({ file_path, offset = 1, limit = DEFAULT_LINES }, { link }) {
    const { text } = await readText(link, file_path);
    if (text === "") return textOutput("[the file is empty]");
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    if (offset > lines.length) {
      throw new ToolFailure(`${file_path} has ${lines.length} lines; there is no line ${offset}`);
    }
    const shown = numbered(lines, offset - 1, Math.min(lines.length, offset - 1 + limit));
    const last = offset - 1 + shown.length;
    const note = last < lines.length ? `\n[lines ${offset} to ${last} of ${lines.length}]` : "";
    return textOutput(shown.join("\n") + note);
  },
});

/** Lines `from` (inclusive, from 0) to `to` with numbers, as many as the character limit allows and at least one. */
function numbered(lines: readonly string[], from: number, to: number): string[] {
  const shown: string[] = [];
  let chars = 0;
  for (let i = from; i < to; i++) {
    const line = `${String(i + 1).padStart(6)}\t${cutLine(lines[i] ?? "", MAX_LINE_CHARS)}`;
    chars += line.length + 1;
    if (chars > MAX_CHARS && shown.length > 0) break;
    shown.push(line);
  }
  return shown;
}
