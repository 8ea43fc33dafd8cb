import { z } from "zod";
import { runCommand } from "#domain/sandbox/run-command";
import { operation } from "#http/operation";
import { UNREACHABLE, writing } from "#surfaces/runtime/entries";
import { NonEmpty } from "#surfaces/runtime/values";

const CommandResult = z
  .object({ stdout: z.string(), stderr: z.string(), exitCode: z.int() })
  .meta({ id: "SandboxCommandResult" });

const CommandBody = z
  .object({
    command: NonEmpty,
    cwd: NonEmpty.optional(),
    env: z.record(z.string(), z.string()).optional(),
    timeoutMs: z.int().min(1).optional(),
    stdinText: z.string().optional(),
  })
  .meta({ id: "SandboxCommandRequest" });

export const commandOperations = [
  operation({
    ...writing,
    id: "runSandboxForegroundCommand",
    method: "post",
    path: "/api/v1/sandboxes/{sandboxId}/commands/foreground",
    tag: "Commands",
    summary: "Run a shell command and wait for its end",
    description:
      "Any exit code is an answer with status 200. A command over its `timeoutMs` is killed and answered 504.",
    body: CommandBody,
    returns: { status: 200, schema: CommandResult },
    faults: [...UNREACHABLE, "timeout", "directory_not_found"],
    run: (ctx, { params, body, raw }) => runCommand(ctx, params.sandboxId, body, raw.signal),
  }),
];
