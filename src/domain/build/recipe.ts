import { parseDuration } from "#domain/build/duration";
import { takeOptions } from "#domain/build/options";
import { HOUR, SECOND } from "#kernel/time";

/** Time that a RUN has unless it says otherwise, and the most that it may ask for (platform R417). */
export const RUN_TIMEOUT_MS = 30 * SECOND;
const LONGEST_RUN_MS = 6 * HOUR;

/** One line of a recipe, understood. Texts are as written: variables are filled in when the line's turn comes. */
export type Instruction =
  | { type: "run"; command: string; timeoutMs: number }
  | { type: "start"; command: string }
  | { type: "env"; name: string; value: string }
  | { type: "workdir"; path: string }
  | { type: "user"; name: string }
  | { type: "copy"; sources: string[]; target: string }
  /** A line that makes the build fail when its turn comes (platform R416). */
  | { type: "invalid"; message: string };

const VARIABLE = "[A-Za-z_][A-Za-z0-9_]*";
const ASSIGNMENT = new RegExp(`^(${VARIABLE})=(.*)$`, "s");
const REFERENCE = new RegExp(`\\$(?:\\$|(${VARIABLE})|\\{(${VARIABLE})\\})`, "g");
const USER_NAME = /^[a-z_][a-z0-9_-]{0,31}$/;

/** The lines that say something: without empty ones and comments. Pure. */
export const saysSomething = (line: string): boolean => !/^\s*(#|$)/.test(line);

/** Reads one line: an instruction's name in any case, then what it takes. Never throws. Pure. */
export function parseInstruction(line: string): Instruction {
  const [, word = "", rest = ""] = /^\s*(\S*)\s*(.*?)\s*$/s.exec(line) ?? [];
  const name = word.toUpperCase();
  const parse = Object.hasOwn(PARSERS, name) ? PARSERS[name] : undefined;
  if (!parse) return invalid(`there is no instruction ${word}`);
  return rest === "" ? invalid(`${name} needs something to act on`) : parse(rest);
}

const PARSERS: Record<string, (rest: string) => Instruction> = {
  RUN(rest) {
    const options = takeOptions(rest, ["timeout"]);
    if (typeof options === "string") return invalid(options);
    const { timeout } = options.given;
    const timeoutMs = timeout === undefined ? RUN_TIMEOUT_MS : parseDuration(timeout);
    if (!timeoutMs || timeoutMs > LONGEST_RUN_MS)
      return invalid("--timeout must be a time up to 6h, such as 90s or 5m");
    return options.rest === "" ? invalid("RUN needs a command") : { type: "run", command: options.rest, timeoutMs };
  },
  START: (command) => ({ type: "start", command }),
  ENV(rest) {
    const [, name, value = ""] = ASSIGNMENT.exec(rest) ?? [];
    return name === undefined ? invalid("ENV needs NAME=value") : { type: "env", name, value };
  },
  WORKDIR: (path) => ({ type: "workdir", path }),
  USER: (name) => (USER_NAME.test(name) ? { type: "user", name } : invalid("USER needs the name of a user")),
  COPY(rest) {
    const words = rest.split(/\s+/);
    const target = words.pop() ?? "";
    return words.length === 0 ? invalid("COPY needs a source and a target") : { type: "copy", sources: words, target };
  },
};

/** Fills in `$NAME` and `${NAME}`, which are empty when unknown; `$$` is a dollar sign. Pure. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(REFERENCE, (whole, plain?: string, braced?: string) => {
    const name = plain ?? braced;
    if (name === undefined) return whole === "$$" ? "$" : whole;
    return Object.hasOwn(env, name) ? (env[name] ?? "") : "";
  });
}

/** The value of an ENV line: in single quotes as it is, else filled in, without double quotes around it. Pure. */
export function filledIn(text: string, env: Readonly<Record<string, string>>): string {
  const [, quote, inner = ""] = /^(["'])(.*)\1$/s.exec(text) ?? [];
  if (quote === "'") return inner;
  return expand(quote === '"' ? inner : text, env);
}

const invalid = (message: string): Instruction => ({ type: "invalid", message });
