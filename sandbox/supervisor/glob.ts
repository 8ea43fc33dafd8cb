import { glob, lstat, realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { SECOND } from "#kernel/time";
import type { GlobResult } from "#protocol/supervisor";
import { Refusal, refusing } from "./refusal.ts";
import type { Location, Workspace } from "./workspace.ts";

const MAX_PATTERN_LENGTH = 1000;
const MAX_ALTERNATIVES = 256;
const MAX_STARS_PER_SEGMENT = 4;
const MAX_MATCHES = 20_000;
const DEADLINE_MS = 10 * SECOND;

/** Files below a directory that match, newest first. Symlinks are neither matched nor followed out of the root. */
export function globFiles(
  workspace: Workspace,
  location: Location,
  pattern: string,
  limit: number,
): Promise<GlobResult> {
  checkPattern(pattern);
  return refusing("directory_not_found", () =>
    workspace.enter(location.parts, false, async ({ base }) => {
      const deadline = performance.now() + DEADLINE_MS;
      const found: { path: string; mtimeMs: number }[] = [];
      const inside = insideCheck(workspace);
      let cut = false;
      let seen = 0;
      for await (const name of glob(pattern, { cwd: base })) {
        cut = ++seen > MAX_MATCHES || performance.now() > deadline;
        if (cut) break;
        const stats = await lstat(`${base}/${name}`).catch(() => undefined);
        if (!stats?.isFile() || !(await inside(dirname(`${base}/${name}`)))) continue;
        found.push({ path: `${location.shown}/${name}`, mtimeMs: stats.mtimeMs });
      }
      found.sort((a, b) => b.mtimeMs - a.mtimeMs || (a.path < b.path ? -1 : 1));
      return { paths: found.slice(0, limit).map(({ path }) => path), truncated: cut || found.length > limit };
    }),
  );
}

/** Whether a directory is really below the root; each is asked once. */
function insideCheck(workspace: Workspace): (directory: string) => Promise<boolean> {
  const known = new Map<string, boolean>();
  return async (directory) => {
    const cached = known.get(directory);
    if (cached !== undefined) return cached;
    const real = await realpath(directory).catch(() => "");
    const answer = real === workspace.root || real.startsWith(`${workspace.root}/`);
    known.set(directory, answer);
    return answer;
  };
}

/** Refuses patterns that leave the directory, or whose matching could take more than polynomial work. */
function checkPattern(pattern: string): void {
  const refuse = (why: string) => {
    throw new Refusal("invalid", `glob pattern: ${why}`);
  };
  if (pattern.length === 0 || pattern.length > MAX_PATTERN_LENGTH) refuse("empty or too long");
  if (pattern.includes("\0")) refuse("holds a NUL byte");
  if (pattern.startsWith("/") || pattern.split(/[/{},\\]/).includes("..")) refuse("stays below its directory");
  if (/[?*+@!]\(/.test(pattern)) refuse("extended groups are not supported");
  if (pattern.includes("{") && /\{[^{}]*\.\./.test(pattern)) refuse("ranges are not supported");
  const alternatives = pattern.split("{").reduce((product, part) => product * part.split(",").length, 1);
  if (alternatives > MAX_ALTERNATIVES) refuse("too many alternatives");
  const stars = Math.max(...pattern.split("/").map((segment) => segment.split("*").length - 1));
  if (stars > MAX_STARS_PER_SEGMENT) refuse("too many stars in one segment");
}
