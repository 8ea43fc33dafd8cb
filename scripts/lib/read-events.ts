import { createParser } from "eventsource-parser";

export type StreamedEvent = { id: number; type: string; data: Record<string, unknown> };

/** Reads a session's event stream from `cursor` on, until `until` says that an event was the last one wanted. */
export async function readEvents(
  source: { url: string; apiKey?: string; sessionId: string; cursor?: number; signal?: AbortSignal },
  onEvent: (event: StreamedEvent) => void,
  until: (event: StreamedEvent) => boolean,
): Promise<void> {
  const stop = new AbortController();
  const signal = source.signal ? AbortSignal.any([stop.signal, source.signal]) : stop.signal;
  const query = source.cursor === undefined ? "" : `?cursor=${source.cursor}`;
  const response = await fetch(`${source.url}/api/v1/sessions/${source.sessionId}/events${query}`, {
    headers: { accept: "text/event-stream", ...(source.apiKey && { "x-api-key": source.apiKey }) },
    signal,
  });
  if (!response.ok || !response.body) throw new Error(`the event stream answered ${response.status}`);
  let done = false;
  const parser = createParser({
    onEvent: ({ id, event, data }) => {
      if (done) return;
      const parsed = { id: Number(id), type: event ?? "", data: JSON.parse(data) as Record<string, unknown> };
      onEvent(parsed);
      done = until(parsed);
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    if (done) break;
  }
  stop.abort();
  if (!done) throw new Error("the event stream ended early");
}

const LAST = new Set(["run.completed", "run.failed", "run.cancelled"]);

/** True for the event that ends the run. */
export const endsRun =
  (runId: string) =>
  ({ type, data }: StreamedEvent): boolean =>
    LAST.has(type) && data.runId === runId;
