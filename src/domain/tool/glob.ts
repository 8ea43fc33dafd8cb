import { z } from "zod";
import { defineTool, textOutput } from "#domain/tool/tool";

const MAX_PATHS = 100;

/** Finds files by a pattern of their path, newest first. */
export const globTool = defineTool({
  name: "Glob",
  description: `Find files by a pattern such as **/*.ts. Answers with at most ${MAX_PATHS} paths, the newest first.`,
  input: z.object({
    pattern: z.string().min(1).describe("Glob pattern, relative to path"),
    path: z.string().min(1).optional().describe("Folder to look in; the workspace root unless given"),
  }),
  retry: "safe",
  async run({ pattern, path = "." }, { link }) {
    const { paths, truncated } = await link.glob(pattern, path, MAX_PATHS);
    if (paths.length === 0) return textOutput("No files found");
    const note = truncated
      ? `\n[only the ${paths.length} newest files are shown; narrow the pattern to see others]`
      : "";
    return textOutput(paths.join("\n") + note);
  },
});
