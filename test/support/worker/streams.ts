import { createParser, type EventSourceMessage } from "eventsource-parser";
import { expect } from "vitest";
import { request } from "#test/worker/harness";

const DEADLINE_MS = 10_000;

export type Stream = Awaited<ReturnType<typeof follow>>;

/** The whole events in a stream's text, as a browser has them. */
export function eventsIn(text: string): EventSourceMessage[] {
  const seen: EventSourceMessage[] = [];
  createParser({ onEvent: (event) => seen.push(event) }).feed(text);
  return seen;
}

/** Opens a stream. */
export async function follow(path: string, headers: Record<string, string>) {
  const response = await request("GET", path, { headers });
  expect(response.status).toBe(200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let over = false;
  /** Reads on until the text satisfies a condition or ends; answers all that came. Fails at a deadline. */
  const until = async (enough: (text: string) => boolean, withinMs = DEADLINE_MS): Promise<string> => {
    const deadline = Date.now() + withinMs;
    while (!over && !enough(text)) {
      const left = deadline - Date.now();
      const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`waited for ${text}`)), left));
      const { value, done } = await Promise.race([reader.read(), late]);
      over = done;
      text += value ?? "";
    }
    return text;
  };
  return {
    headers: response.headers,
    until,
    /** Reads until there are `count` events. */
    events: async (count: number) => eventsIn(await until((now) => eventsIn(now).length >= count)),
    /** Reads on until the server ends the stream. */
    ended: (withinMs?: number) => until(() => false, withinMs),
    close: () => reader.cancel(),
  };
}
