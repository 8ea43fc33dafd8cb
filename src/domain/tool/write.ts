import { z } from "zod";
import { defineTool, textOutput } from "#domain/tool/tool";

/** Creates a file or replaces all of its content. */
export const writeTool = defineTool({
  name: "Write",
  description:
    "Create a file of the workspace or replace its whole content. Missing folders are made. To change a part of an " +
    "existing file use Edit.",
  input: z.object({
    file_path: z.string().min(1).describe("Path of the file, absolute below /workspace or relative to it"),
    content: z.string().describe("The whole new content"),
  }),
  retry: "manual",
  async run({ file_path, content }, { link }) {
    const stat = await link.write(file_path, content, { overwrite: true });
    return textOutput(`Wrote ${stat.size} bytes to ${stat.path}`);
  },
});
