import { z } from "zod";
import { execProgram } from "#domain/process/exec-program";
import { startProcess } from "#domain/process/start-process";
import { operation } from "#http/operation";
import { SECOND } from "#kernel/time";
import { type ExecResult, MAX_TAG_LENGTH } from "#protocol/supervisor";
import { adminTwin } from "#surfaces/platform/admin-twin";

const DEFAULT_TIMEOUT_S = 30;
const LONGEST_TIMEOUT_S = 24 * 60 * 60;

const ExecRequest = z
  .object({
    cmd: z.string().min(1),
    args: z.array(z.string()).optional(),
    timeout_sec: z
      .int()
      .max(LONGEST_TIMEOUT_S)
      .default(DEFAULT_TIMEOUT_S)
      .describe("Seconds until a foreground command is killed; 0 and less mean the default."),
    background: z.boolean().default(false).describe("Starts the process and answers at once (202)."),
    tag: z.string().max(MAX_TAG_LENGTH).optional().describe("Names a background process; made up when absent."),
    envs: z.record(z.string(), z.string()).optional(),
    cwd: z.string().optional().describe("Absolute, or relative to the workspace."),
  })
  .meta({ id: "ExecRequest" });

const ExecResponse = z
  .object({
    sandbox_id: z.string(),
    cmd: z.string(),
    stdout: z.string(),
    stderr: z.string(),
    exit_code: z.int(),
    duration_ms: z.int(),
    encoding: z.enum(["utf-8", "base64"]).describe("Of both outputs; base64 when one of them is not text."),
    truncated: z.literal(true).optional().describe("Present when output was more than is kept, and was cut."),
  })
  .meta({ id: "ExecResponse" });

const BackgroundExecResponse = z
  .object({ sandbox_id: z.string(), cmd: z.string(), pid: z.int(), tag: z.string() })
  .meta({ id: "BackgroundExecResponse" });

/** Zero and less are no limit that anybody means. */
const timeoutMsOf = (seconds: number) => (seconds > 0 ? seconds : DEFAULT_TIMEOUT_S) * SECOND;

const toExecResponse = (id: string, cmd: string, result: ExecResult): z.input<typeof ExecResponse> => ({
  sandbox_id: id,
  cmd,
  stdout: result.stdout,
  stderr: result.stderr,
  exit_code: result.exitCode,
  duration_ms: Math.round(result.durationMs),
  encoding: result.encoding === "utf8" ? "utf-8" : "base64",
  ...(result.truncated && { truncated: true }),
});

const execCommand = operation({
  id: "execCommand",
  method: "post",
  path: "/v1/capsules/{id}/exec",
  tag: "capsules",
  summary: "Run a command",
  description:
    "Runs a program and answers when it has ended, or starts it in the background. There is no shell unless it is the " +
    "program. A program that cannot be started ends with exit code 127 or 126.",
  permission: "sandbox:write",
  accepts: ["api_key", "session"],
  params: z.object({ id: z.string() }),
  body: ExecRequest,
  returns: { status: 200, schema: ExecResponse, description: "The command has ended" },
  also: [{ status: 202, description: "The process was started", schema: BackgroundExecResponse }],
  faults: ["sandbox_not_found", "sandbox_not_running", "timeout", "conflict", "host_lost", "sandbox_failed"],
  run: async (ctx, { params: { id }, body, raw, outcome }) => {
    const { cmd, args = [], envs: env, cwd, tag } = body;
    const program = { command: cmd, args, env, cwd };
    if (body.background) {
      const { pid, tag: known } = await startProcess(ctx, id, { ...program, tag });
      outcome.status = 202;
      return { sandbox_id: id, cmd, pid, tag: known };
    }
    const timeoutMs = timeoutMsOf(body.timeout_sec);
    return toExecResponse(id, cmd, await execProgram(ctx, id, { ...program, timeoutMs }, raw.signal));
  },
});

export const execOperations = [
  execCommand,
  adminTwin(execCommand, {
    id: "adminExecCommand",
    summary: "Run a command in any team's capsule",
    audits: "sandbox.command_run",
  }),
];
