import type { BuildState } from "#domain/build/machine";
import type { BuildLogEntry, BuildOrder } from "#domain/build/ports";
import { BuildEvents } from "#objects/build/events";
import { Outbox } from "#objects/kit/outbox";

export const BUILD_MIGRATIONS = [
  `CREATE TABLE build (one INTEGER PRIMARY KEY CHECK (one = 1), job TEXT NOT NULL, state TEXT NOT NULL);
   CREATE TABLE steps (step INTEGER PRIMARY KEY, entry TEXT NOT NULL, read INTEGER NOT NULL DEFAULT 0,
     told INTEGER NOT NULL DEFAULT 0)`,
  BuildEvents.MIGRATION,
  Outbox.MIGRATION,
];

/** What is kept of each stream of a step, in characters: the last of it. */
export const KEPT_CHARS = 64 * 1024;

/** A step's log with how many characters were left out of each stream. */
type Entry = BuildLogEntry & { cut: { stdout: number; stderr: number } };
export type Stream = "stdout" | "stderr";
/** How many bytes of the command's output were taken up, and how many characters readers were told. */
export type Place = { read: number; told: number };
type Row = { step: number; entry: string } & Place;

/** What a build's object keeps, apart from its events: one row for the build, one for each step. */
export class BuildStore {
  readonly #sql: SqlStorage;
  order: BuildOrder | undefined;
  state: BuildState | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  load(): void {
    const [row] = this.#sql.exec<{ job: string; state: string }>("SELECT job, state FROM build").toArray();
    if (!row) return;
    this.order = JSON.parse(row.job) as BuildOrder;
    this.state = JSON.parse(row.state) as BuildState;
  }

  /** Keeps the first order it is given. */
  adopt(order: BuildOrder, state: BuildState): void {
    this.#sql.exec("INSERT INTO build VALUES (1, ?, ?)", JSON.stringify(order), JSON.stringify(state));
    this.order = order;
    this.state = state;
  }

  /** Writes the row only; the caller sets `state` once its transaction is through. */
  save(state: BuildState): void {
    this.#sql.exec("UPDATE build SET state = ?", JSON.stringify(state));
  }

  openStep(entry: Pick<BuildLogEntry, "step" | "phase" | "cmd">): void {
    const open: Entry = {
      ...{ ...entry, stdout: "", stderr: "", exit: null, ok: null, elapsedMs: 0, cut: { stdout: 0, stderr: 0 } },
    };
    this.#sql.exec("INSERT OR IGNORE INTO steps (step, entry) VALUES (?, ?)", entry.step, JSON.stringify(open));
  }

  /** Adds output to a step, and notes up to where it was read and told. */
  addOutput(step: number, texts: Partial<Record<Stream, string>>, { read, told }: Place): void {
    const row = this.#row(step);
    if (!row) return;
    const entry = JSON.parse(row.entry) as Entry;
    for (const [stream, text] of Object.entries(texts) as [Stream, string][]) {
      const all = entry[stream] + text;
      entry[stream] = all.slice(-KEPT_CHARS);
      entry.cut[stream] += all.length - entry[stream].length;
    }
    this.#sql.exec(
      "UPDATE steps SET entry = ?, read = ?, told = ? WHERE step = ?",
      JSON.stringify(entry),
      read,
      told,
      step,
    );
  }

  closeStep(step: number, end: Pick<BuildLogEntry, "exit" | "ok" | "elapsedMs">): void {
    const row = this.#row(step);
    if (!row) return;
    const entry = { ...(JSON.parse(row.entry) as Entry), ...end };
    this.#sql.exec("UPDATE steps SET entry = ? WHERE step = ?", JSON.stringify(entry), step);
  }

  placeOf(step: number): Place {
    const { read = 0, told = 0 } = this.#row(step) ?? {};
    return { read, told };
  }

  log(): BuildLogEntry[] {
    const rows = this.#sql.exec<Row>("SELECT * FROM steps ORDER BY step").toArray();
    return rows.map(({ entry }) => {
      const { cut, ...shown } = JSON.parse(entry) as Entry;
      return { ...shown, stdout: withCut(shown.stdout, cut.stdout), stderr: withCut(shown.stderr, cut.stderr) };
    });
  }

  #row(step: number): Row | undefined {
    return this.#sql.exec<Row>("SELECT * FROM steps WHERE step = ?", step).toArray()[0];
  }
}

const withCut = (text: string, cut: number) => (cut === 0 ? text : `[${cut} characters are left out]\n${text}`);
