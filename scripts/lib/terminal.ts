const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code: number) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);

/** One line of progress, in words. */
export const say = (text: string): void => console.log(text);

/** Says what is being done, then how long it took. The error of a step that fails is the caller's to explain. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  process.stdout.write(`${dim("·")} ${what} … `);
  try {
    const value = await work();
    console.log(dim(`${((performance.now() - started) / 1000).toFixed(1)} s`));
    return value;
  } catch (error) {
    console.log(red("failed"));
    throw error;
  }
}

/** What asks a program to stop. */
export const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A problem the user can act on: shown without a stack trace, with what to do next. */
export class Problem extends Error {
  readonly remedy: string;
  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

/**
 * Runs a program's main function; problems are explained, everything else keeps its stack. A signal ends the program
 * at once, with what it started, unless it waits for one itself.
 */
export async function main(run: () => Promise<number | undefined>): Promise<void> {
  for (const signal of SIGNALS) process.once(signal, () => process.exit(1));
  try {
    process.exitCode = (await run()) ?? 0;
  } catch (error) {
    if (error instanceof Problem) console.error(`\n${red(error.message)}\n${error.remedy}`);
    else console.error(error);
    process.exitCode = 1;
  }
}
