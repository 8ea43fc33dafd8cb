import { z } from "zod";
import { readText } from "#domain/tool/file-text";
import { counted } from "#domain/tool/text";
import { defineTool, ToolFailure, textOutput } from "#domain/tool/tool";

/** Replaces exact text in a file; everything else keeps its bytes. */
export const editTool = defineTool({
  name: "Edit",
  description:
    "Replace text in a file of the workspace. old_string must be in the file exactly as given, spaces and line breaks " +
    "included and without the line numbers that Read shows, and only once unless replace_all is set.",
  input: z.object({
    file_path: z.string().min(1).describe("Path of the file, absolute below /workspace or relative to it"),
    old_string: z.string().min(1).describe("The text to replace"),
    new_string: z.string().describe("The text to put in its place"),
    replace_all: z.boolean().optional().describe("Replace every occurrence"),
  }),
  retry: "manual",
  async run({ file_path, old_string, new_string, replace_all = false }, { link }) {
    const { text, stat } = await readText(link, file_path);
    const pieces = replaceable(file_path, text, old_string, new_string, replace_all);
    // `ifMatch` refuses the write when somebody else changed the file since it was read.
    const written = await link.write(file_path, pieces.join(new_string), { overwrite: true, ifMatch: stat.etag });
    return textOutput(`Replaced ${counted(pieces.length - 1, "occurrence")} in ${written.path}`);
  },
});

/** The text between the occurrences; refuses an edit that changes nothing or says not clearly where. */
function replaceable(path: string, text: string, old: string, replacement: string, all: boolean): string[] {
  if (old === replacement) throw new ToolFailure("old_string and new_string are the same");
  const pieces = text.split(old);
  const count = pieces.length - 1;
  if (count === 0) throw new ToolFailure(`old_string is not in ${path}; it must match exactly, also in white space`);
  if (count > 1 && !all) {
    throw new ToolFailure(
      `old_string is ${count} times in ${path}; add lines around it to make it unique, or set replace_all`,
    );
  }
  return pieces;
}
