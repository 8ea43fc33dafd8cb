import { z } from "zod";
import { cutLine, cutMiddle } from "#domain/tool/text";
import { defineTool, ToolFailure, textOutput } from "#domain/tool/tool";
import { MINUTE } from "#kernel/time";

const MAX_RESULTS = 250;
const MAX_LINE_CHARS = 500;
const MAX_CHARS = 30_000;
const OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024;
const TIMEOUT_MS = MINUTE;

const GrepInput = z.object({
  pattern: z.string().min(1).describe("POSIX extended regular expression"),
  path: z.string().min(1).optional().describe("File or folder to search; the workspace root unless given"),
  glob: z.string().min(1).optional().describe("Only files whose name matches, for example *.ts"),
  output_mode: z
    .enum(["content", "files_with_matches", "count"])
    .optional()
    .describe("Matching lines with numbers, names of files (the default), or matches per file"),
  ignore_case: z.boolean().optional().describe("Ignore case"),
});

/** Searches file contents with the sandbox's own `grep`, started without a shell. */
export const grepTool = defineTool({
  name: "Grep",
  description:
    "Search the content of files with a regular expression. Binary files and the folders .git and node_modules are " +
    `left out. Shows at most ${MAX_RESULTS} results.`,
  input: GrepInput,
  retry: "safe",
  async run(input, { link, key, signal, timeoutMs }) {
    const limitMs = Math.min(TIMEOUT_MS, timeoutMs ?? TIMEOUT_MS);
    const request = { execId: key, command: grepArguments(input), timeoutMs: limitMs, outputLimit: OUTPUT_LIMIT_BYTES };
    const result = await link.exec(request, signal);
    if (result.timedOut) throw new ToolFailure(`the search took longer than ${limitMs} ms`, "tool_timed_out");
    const lines = result.stdout
      .split("\n")
      .filter((line) => line !== "" && !(input.output_mode === "count" && /:0$/.test(line)));
    // grep answers 2 when some file could not be read; what it found in the others still counts.
    if (result.exitCode > 1 && lines.length === 0) throw new ToolFailure(result.stderr.trim() || "grep failed");
    if (lines.length === 0) return textOutput("No matches found");
    const shown = lines.slice(0, MAX_RESULTS).map((line) => cutLine(line, MAX_LINE_CHARS));
    const more = lines.length > MAX_RESULTS || result.truncated;
    const note = more ? `\n[only the first ${MAX_RESULTS} results are shown; narrow the search to see others]` : "";
    return textOutput(cutMiddle(shown.join("\n"), MAX_CHARS) + note);
  },
});

/** The argument vector; pattern and path follow `-e` and `--`, so neither can become an option. */
export function grepArguments(input: z.infer<typeof GrepInput>): string[] {
  const mode = { content: "-n", files_with_matches: "-l", count: "-c" }[input.output_mode ?? "files_with_matches"];
  return [
    "grep",
    ...["-r", "-I", "-E", "-H", mode, "--exclude-dir=.git", "--exclude-dir=node_modules"],
    ...(input.ignore_case ? ["-i"] : []),
    ...(input.glob ? [`--include=${input.glob}`] : []),
    ...["-e", input.pattern, "--", input.path ?? "."],
  ];
}
