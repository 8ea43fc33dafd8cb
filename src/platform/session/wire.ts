import type { SendInput } from "#domain/session/ports";
import type { Message, MessageContent } from "#domain/session/values";

/**
 * Long content between a Worker and a session's object. A call carries 32 MiB at most, and text of which one character
 * does not fit a byte takes two for each, so long content crosses as UTF-8.
 */
type WireContent = MessageContent | Uint8Array;
export type Wire<T extends { content: MessageContent }> = Omit<T, "content"> & { content: WireContent };

const LONG_CHARS = 1_000_000;

const charsOf = (value: unknown): number => (typeof value === "string" ? value.length : 0);

const isLong = (content: MessageContent): boolean =>
  typeof content === "string"
    ? content.length > LONG_CHARS
    : content.some((part) => Object.values(part).some((value) => charsOf(value) > LONG_CHARS));

export function toWire<T extends Message | SendInput>(value: T): Wire<T> {
  if (!isLong(value.content)) return value;
  return { ...value, content: new TextEncoder().encode(JSON.stringify(value.content)) };
}

export function fromWire<T extends Message | SendInput>(value: Wire<T>): T {
  const { content } = value;
  const plain =
    content instanceof Uint8Array ? (JSON.parse(new TextDecoder().decode(content)) as MessageContent) : content;
  return { ...value, content: plain } as unknown as T;
}
