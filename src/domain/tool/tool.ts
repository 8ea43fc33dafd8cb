import { z } from "zod";
import type { ToolSpec } from "#domain/model/ports";
import type { SandboxLink } from "#domain/sandbox/ports";
import type { ToolOutput } from "#domain/session/values";
import type { JsonObject } from "#kernel/json";

/** What a tool may use while it runs. */
export type ToolRun = {
  link: SandboxLink;
  /** Aborts when the run is cancelled or the tool's time is up. */
  signal: AbortSignal;
  /** Effect key of the call; names its processes in the sandbox. */
  key: string;
  /** Time the tool may take at most, or null when nothing limits it. */
  timeoutMs: number | null;
};

/** A tool with its input schema erased, as the loop and the registry hold it. */
export type Tool = {
  name: string;
  description: string;
  input: z.ZodType;
  /** `safe`: repeating the call changes nothing, so a crash repeats it by itself. */
  retry: "safe" | "manual";
  /** Throws `ToolFailure` or `Fault`; its message goes to the model. `input` has passed the schema. */
  run(input: never, run: ToolRun): Promise<ToolOutput>;
};

/** A tool that failed, with the text the model gets instead of an output. */
export class ToolFailure extends Error {
  readonly code: string;
  constructor(message: string, code = "tool_execution_failed") {
    super(message);
    this.name = "ToolFailure";
    this.code = code;
  }
}

/** Defines a tool; `run` is checked against the schema here and erased afterwards. */
export function defineTool<S extends z.ZodType>(
  tool: Omit<Tool, "input" | "run"> & { input: S; run(input: z.output<S>, run: ToolRun): Promise<ToolOutput> },
): Tool {
  return tool as Tool;
}

export const textOutput = (value: string): ToolOutput => ({ type: "text", value });

const specs = new WeakMap<Tool, ToolSpec>();

/** The tool as a model sees it. The JSON Schema is made once, when a model is first told of the tool. */
export function toolSpec(tool: Tool): ToolSpec {
  const known = specs.get(tool);
  if (known) return known;
  const { $schema: _dialect, ...inputSchema } = z.toJSONSchema(tool.input, { io: "input" });
  const spec = { name: tool.name, description: tool.description, inputSchema: inputSchema as JsonObject };
  specs.set(tool, spec);
  return spec;
}
