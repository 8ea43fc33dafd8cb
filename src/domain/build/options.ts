export type Options<Name extends string> = { given: Partial<Record<Name, string>>; rest: string };

const OPTION = /^--([a-z-]+)=(\S*)\s*/;

/**
 * Takes `--name=value` words off the begin of a line; the rest begins with the first other word. A string says which
 * option is not known or comes twice. Pure.
 */
export function takeOptions<Name extends string>(line: string, known: readonly Name[]): Options<Name> | string {
  const given: Partial<Record<Name, string>> = {};
  let rest = line;
  for (let found = OPTION.exec(rest); found; found = OPTION.exec(rest)) {
    const [whole, word = "", value = ""] = found;
    const name = known.find((one) => one === word);
    if (name === undefined) return `there is no option --${word}`;
    if (given[name] !== undefined) return `--${word} is given twice`;
    given[name] = value;
    rest = rest.slice(whole.length);
  }
  return { given, rest };
}
