import { randomBytes } from "node:crypto";
import { MAX_TAG_LENGTH } from "#protocol/supervisor-values";
import { Refusal } from "./refusal.ts";

/** Who is meant: all digits are always a process id, anything else is a tag (platform R201). */
export type Selector = { pid: number } | { tag: string };

export const readSelector = (text: string): Selector => (/^\d+$/.test(text) ? { pid: Number(text) } : { tag: text });

/** Refuses a tag that could not be used as a selector. */
export function checkTag(tag: string): string {
  const refuse = (why: string): never => {
    throw new Refusal("invalid", `tag: ${why}`);
  };
  if (tag.length === 0 || tag.length > MAX_TAG_LENGTH) refuse(`it has 1 to ${MAX_TAG_LENGTH} characters`);
  if (/^\d+$/.test(tag)) refuse("all digits would be a process id");
  if (tag === "." || tag === "..") refuse("it may not be a dot segment");
  if (/\p{Cc}/u.test(tag) || !tag.isWellFormed()) refuse("it holds a character that is not allowed");
  return tag;
}

/** A tag for a process that was given none. */
export const newTag = (isTerminal: boolean): string =>
  `${isTerminal ? "pty" : "proc"}-${randomBytes(4).toString("hex")}`;
