import { z } from "zod";

/**
 * The messages of the capsules' WebSockets (platform contract, sections 8 and 9): JSON in text frames. What a client sends
 * that is none of these is no message; a first one must be.
 */

/** The largest message that a client may send. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const Program = {
  args: z.array(z.string()).optional(),
  envs: z.record(z.string(), z.string()).optional(),
  cwd: z.string().optional(),
};

export const ExecClientMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("start"), cmd: z.string().min(1), ...Program }),
  z.object({ type: z.literal("stop") }),
]);
export type ExecClientMessage = z.infer<typeof ExecClientMessage>;

/** Of exec/stream and of processes/{selector}/stream. `exit` or a last `error` is followed by the close. */
export const ProcessMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("start"), pid: z.int() }),
  z.object({ type: z.literal("stdout"), data: z.string() }),
  z.object({ type: z.literal("stderr"), data: z.string() }),
  z.object({ type: z.literal("exit"), exit_code: z.int() }),
  z.object({ type: z.literal("error"), data: z.string() }),
]);
export type ProcessMessage = z.infer<typeof ProcessMessage>;

/** A size that is missing, or none that a terminal can have, is no reason to refuse the message. */
const Cells = z.int().min(1).max(65_535).optional().catch(undefined);

export const TerminalClientMessage = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("start"),
    cmd: z.string().min(1).optional(),
    cols: Cells,
    rows: Cells,
    user: z.string().min(1).optional(),
    ...Program,
  }),
  z.object({ type: z.literal("connect"), tag: z.string().min(1) }),
  z.object({ type: z.literal("input"), data: z.string() }),
  z.object({ type: z.literal("resize"), cols: Cells, rows: Cells }),
  z.object({ type: z.literal("kill") }),
  z.object({ type: z.literal("pong") }),
]);
export type TerminalClientMessage = z.infer<typeof TerminalClientMessage>;

/** `data` of `output` is base64. A fatal `error` is followed by the close. */
export const TerminalMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("started"), tag: z.string(), pid: z.int() }),
  z.object({ type: z.literal("output"), data: z.base64() }),
  z.object({ type: z.literal("exit"), exit_code: z.int() }),
  z.object({ type: z.literal("error"), data: z.string(), fatal: z.boolean() }),
  z.object({ type: z.literal("ping") }),
]);
export type TerminalMessage = z.infer<typeof TerminalMessage>;

/** A client's message; undefined for text that is none. */
export function readMessage<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
