import { z } from "zod";
import { cutMiddle } from "#domain/tool/text";
import { defineTool, ToolFailure, textOutput } from "#domain/tool/tool";
import { MINUTE } from "#kernel/time";
import type { ExecResult } from "#protocol/supervisor";

const DEFAULT_TIMEOUT_MS = 2 * MINUTE;
const MAX_TIMEOUT_MS = 10 * MINUTE;
const MAX_OUTPUT_CHARS = 30_000;
const OUTPUT_LIMIT_BYTES = 1024 * 1024;

/** Runs a shell command in the workspace root and answers with its output and exit code. */
export const bashTool = defineTool({
  name: "Bash",
  description:
    "Run a shell command (sh -c) in /workspace inside the sandbox. Answers with standard output, standard error and the " +
    `exit code. Each call is a new shell: the working directory and variables do not carry over. Output over ${MAX_OUTPUT_CHARS} ` +
    "characters is shortened in the middle. To leave a server running, start it with & and send its output to a file.",
  input: z.object({
    command: z.string().min(1).describe("The command line to run"),
    timeout: z
      .int()
      .positive()
      .max(MAX_TIMEOUT_MS)
      .optional()
      .describe(
        `Milliseconds until the command is killed; ${DEFAULT_TIMEOUT_MS} unless given, at most ${MAX_TIMEOUT_MS}`,
      ),
    description: z.string().optional().describe("What the command does, in a few words"),
  }),
  retry: "manual",
  async run({ command, timeout }, { link, key, signal, timeoutMs }) {
    const limitMs = Math.min(timeout ?? DEFAULT_TIMEOUT_MS, timeoutMs ?? MAX_TIMEOUT_MS);
    const request = { execId: key, command, timeoutMs: limitMs, outputLimit: OUTPUT_LIMIT_BYTES };
    const result = await link.exec(request, signal);
    const text = formatExec(result);
    if (result.timedOut) {
      throw new ToolFailure(`${text}\nThe command was killed after its ${limitMs} ms timeout.`, "tool_timed_out");
    }
    return textOutput(text);
  },
});

const EXIT_LINE = /\[exit code (-?\d+)(?:, [^\]]*)?\]$/;

/** The exit code at the end of a Bash output, or null when the text is not one. */
export function exitCodeOf(output: string): number | null {
  const found = EXIT_LINE.exec(output);
  return found ? Number(found[1]) : null;
}

/** Standard output, standard error under its own heading, and the exit code as the last line. */
function formatExec(result: ExecResult): string {
  if (result.encoding === "base64") return `[output is not text]\n${exitLine(result)}`;
  const err = result.stderr.trimEnd();
  const body = [result.stdout.trimEnd(), err && `[stderr]\n${err}`].filter(Boolean).join("\n");
  const cut = cutMiddle(body, MAX_OUTPUT_CHARS);
  const note = result.truncated ? `[the sandbox kept only the first ${OUTPUT_LIMIT_BYTES} bytes of each stream]` : "";
  return [cut, note, exitLine(result)].filter(Boolean).join("\n");
}

function exitLine({ exitCode, signal, limit }: ExecResult): string {
  const how = signal ? `, ended by ${signal}` : "";
  const why = limit ? `, the sandbox reached its limit of ${limit}` : "";
  return `[exit code ${exitCode}${how}${why}]`;
}
