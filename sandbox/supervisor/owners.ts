import { readFileSync } from "node:fs";

/** Names of the users and groups inside; who has none is told by number. The files are read once. */
export class Owners {
  readonly #users = names("/etc/passwd");
  readonly #groups = names("/etc/group");

  user(id: number): string {
    return this.#users.get(id) ?? String(id);
  }

  group(id: number): string {
    return this.#groups.get(id) ?? String(id);
  }
}

/** Both files have a name first and its number third. */
function names(file: string): Map<number, string> {
  const lines = readOrEmpty(file)
    .split("\n")
    .map((line) => line.split(":"));
  return new Map(
    lines.flatMap(([name, , id]) => (name && /^\d+$/.test(id ?? "") ? [[Number(id), name] as const] : [])),
  );
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
