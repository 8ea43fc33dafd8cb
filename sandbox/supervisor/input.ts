import type { Readable } from "node:stream";
import type { ExecRequest, ProcessRequest, TerminalSize } from "#protocol/supervisor";
import { DEFAULT_OUTPUT_LIMIT, KEPT_OUTPUT, MAX_INPUT_BYTES } from "#protocol/supervisor-values";
import { keepingOpen } from "./call.ts";
import { Refusal } from "./refusal.ts";
import { checkTag } from "./tag.ts";

const MAX_JSON_BYTES = 8 * 1024 * 1024;

type Fields = Record<string, unknown>;

const invalid = (what: string): Refusal => new Refusal("invalid", what);

async function readBytes(body: AsyncIterable<Buffer>, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > most) throw new Refusal("too_large", `the request is larger than ${most / 2 ** 20} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads the bytes meant for a process: at most 4 MiB. */
export const readInput = (body: AsyncIterable<Buffer>): Promise<Buffer> => readBytes(body, MAX_INPUT_BYTES);

/** Reads a request's JSON body: an object of at most 8 MiB. */
export async function readJson(body: Readable): Promise<Fields> {
  const bytes = await readBytes(keepingOpen(body), MAX_JSON_BYTES);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw invalid("the body is not JSON");
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw invalid("the body is not an object");
  return value as Fields;
}

export function stringField(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw invalid(`${name} must be a string`);
  return value;
}

export function booleanField(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== "boolean") throw invalid(`${name} must be true or false`);
  return value;
}

function optionalString(fields: Fields, name: string): string | undefined {
  return fields[name] === undefined ? undefined : stringField(fields, name);
}

function optionalCount(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value) || (value as number) <= 0) throw invalid(`${name} must be a positive integer`);
  return value as number;
}

const isText = (value: unknown): value is string => typeof value === "string" && !value.includes("\0");

function commandField(value: unknown): ExecRequest["command"] {
  if (isText(value) && value.length > 0) return value;
  if (Array.isArray(value) && value.length > 0 && value.every(isText) && value[0] !== "") return value;
  throw invalid("command must be a command line or an argument vector, without NUL bytes");
}

function objectField(fields: Fields, name: string): Fields {
  const value = fields[name];
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw invalid(`${name} must be an object`);
  return value as Fields;
}

/** Checks variables; none when there is no value. */
export function environmentField(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const variables = objectField({ env: value }, "env");
  for (const [name, text] of Object.entries(variables)) {
    if (!isText(name) || name === "" || name.includes("=")) throw invalid("env holds a name that is not allowed");
    if (!isText(text)) throw invalid(`env.${name} must be a string without NUL bytes`);
  }
  return variables as Record<string, string>;
}

export type CheckedExec = ExecRequest & { env: Record<string, string>; outputLimit: number };

/** Checks an `ExecRequest`; what the protocol does not name is dropped. */
export function execRequest(fields: Fields): CheckedExec {
  const execId = stringField(fields, "execId");
  if (execId.length === 0 || execId.length > 200) throw invalid("execId has 1 to 200 characters");
  const cwd = optionalString(fields, "cwd");
  const stdin = optionalString(fields, "stdin");
  const timeoutMs = optionalCount(fields, "timeoutMs");
  const outputLimit = optionalCount(fields, "outputLimit") ?? DEFAULT_OUTPUT_LIMIT;
  if (outputLimit > DEFAULT_OUTPUT_LIMIT) throw invalid(`outputLimit is at most ${DEFAULT_OUTPUT_LIMIT}`);
  return {
    execId,
    command: commandField(fields.command),
    env: environmentField(fields.env),
    outputLimit,
    ...(cwd !== undefined && { cwd }),
    ...(stdin !== undefined && { stdin }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

const MOST_CELLS = 65_535;

/** Checks the size of a terminal. */
export function terminalSize(fields: Fields): TerminalSize {
  const [cols, rows] = [optionalCount(fields, "cols") ?? 0, optionalCount(fields, "rows") ?? 0];
  if ([cols, rows].some((cells) => cells < 1 || cells > MOST_CELLS)) {
    throw invalid(`cols and rows are numbers from 1 to ${MOST_CELLS}`);
  }
  return { cols, rows };
}

export type CheckedProcess = ProcessRequest & { env: Record<string, string> };

/** Checks a `ProcessRequest`; what the protocol does not name is dropped. */
export function processRequest(fields: Fields): CheckedProcess {
  const tag = optionalString(fields, "tag");
  const cwd = optionalString(fields, "cwd");
  const user = optionalString(fields, "user");
  const keep = optionalCount(fields, "keep");
  if (keep !== undefined && keep > KEPT_OUTPUT.most) throw invalid(`keep is at most ${KEPT_OUTPUT.most}`);
  if (fields.stdin !== undefined && fields.stdin !== "pipe") throw invalid("stdin must be pipe");
  const tty = fields.tty === undefined ? undefined : terminalSize(objectField(fields, "tty"));
  return {
    env: environmentField(fields.env),
    ...(tag !== undefined && { tag: checkTag(tag) }),
    ...((tty === undefined || fields.command !== undefined) && { command: commandField(fields.command) }),
    ...(cwd !== undefined && { cwd }),
    ...(user !== undefined && { user }),
    ...(keep !== undefined && { keep }),
    ...(tty !== undefined && { tty }),
    ...(fields.stdin === "pipe" && { stdin: "pipe" as const }),
  };
}

/** Where a stream begins: `after` as an offset, as `now`, or as that many bytes back; what is kept when it is absent. */
export function offsetParam(query: URLSearchParams, { start, end }: { start: number; end: number }): number {
  const text = query.get("after");
  if (text === null) return start;
  if (text === "now") return end;
  if (!/^-?\d{1,15}$/.test(text)) throw invalid("after must be an offset, now, or a number of bytes back");
  if (text.startsWith("-")) return Math.max(start, end - Number(text.slice(1)));
  if (Number(text) > end) throw invalid("after lies ahead of this process's output");
  return Number(text);
}

/** A query's parameter as a whole number from `least` on, or the fallback when it is absent. */
export function countParam(query: URLSearchParams, name: string, least: number, fallback: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < least) throw invalid(`${name} must be an integer of at least ${least}`);
  return value;
}

/** A query's parameter as a time in milliseconds, which may have a fraction; undefined when it is absent. */
export function timeParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}(\.\d+)?$/.test(text)) throw invalid(`${name} must be a time in milliseconds`);
  return Number(text);
}

/** A query's parameter that must be one of a few words; the first is the default. */
export function choiceParam<T extends string>(query: URLSearchParams, name: string, choices: readonly [T, ...T[]]): T {
  const text = query.get(name) ?? choices[0];
  const choice = choices.find((word) => word === text);
  if (choice === undefined) throw invalid(`${name} must be one of ${choices.join(", ")}`);
  return choice;
}

export function requiredParam(query: URLSearchParams, name: string): string {
  const text = query.get(name);
  if (text === null) throw invalid(`${name} is missing`);
  return text;
}
