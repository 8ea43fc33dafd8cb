import type { ServerResponse } from "node:http";
import type { ScriptUsage } from "./model-script.ts";

type ToolCall = { index: number; id: string; type: "function"; function: { name: string; arguments: string } };

const DEFAULT_USAGE: ScriptUsage = { input: 10, output: 5 };
let answers = 0;

/** One answer in the form of chat completions: pieces as server-sent events, or gathered into one JSON body. */
export class ChatAnswer {
  /** Aborts when the client is gone. */
  readonly closed: AbortSignal;
  readonly #response: ServerResponse;
  readonly #streams: boolean;
  readonly #head: { id: string; created: number; model: string };
  #text = "";
  #calls: ToolCall[] = [];

  constructor(response: ServerResponse, streams: boolean, model: string) {
    const closed = new AbortController();
    response.once("close", () => closed.abort());
    this.closed = closed.signal;
    this.#response = response;
    this.#streams = streams;
    this.#head = { id: `chatcmpl-${++answers}`, created: 0, model };
    if (!streams) return;
    response.writeHead(200, { "content-type": "text/event-stream" });
    this.#delta({ role: "assistant", content: "" });
  }

  text(text: string): void {
    this.#text += text;
    this.#delta({ content: text });
  }

  reasoning(text: string): void {
    this.#delta({ reasoning_content: text });
  }

  /** Sends the call's arguments in two pieces, as providers do. */
  call({ name, input, id }: { name: string; input: unknown; id?: string }): void {
    const index = this.#calls.length;
    const text = typeof input === "string" ? input : JSON.stringify(input);
    const made: ToolCall = {
      index,
      id: id ?? `${this.#head.id}-${index}`,
      type: "function",
      function: { name, arguments: text },
    };
    this.#calls.push(made);
    const half = Math.ceil(text.length / 2);
    this.#delta({ tool_calls: [{ ...made, function: { name, arguments: text.slice(0, half) } }] });
    this.#delta({ tool_calls: [{ index, function: { arguments: text.slice(half) } }] });
  }

  finish(reason = this.#calls.length > 0 ? "tool_calls" : "stop", usage = DEFAULT_USAGE): void {
    if (!this.#streams) {
      const message = {
        role: "assistant",
        content: this.#text,
        ...(this.#calls.length > 0 && { tool_calls: this.#calls }),
      };
      const choices = [{ index: 0, message, finish_reason: reason }];
      this.#response.writeHead(200, { "content-type": "application/json" });
      this.#response.end(JSON.stringify({ ...this.#head, object: "chat.completion", choices, usage: toUsage(usage) }));
      return;
    }
    this.#send({ choices: [{ index: 0, delta: {}, finish_reason: reason }] });
    this.#send({ choices: [], usage: toUsage(usage) });
    this.#response.end("data: [DONE]\n\n");
  }

  /** Stops in the middle: resets the connection, or ends the body as if it were complete. */
  cut(how: "reset" | "end"): void {
    if (how === "end") this.#response.end();
    // What was sent before is on its way when the callback runs.
    else if (this.#streams) this.#response.write(": cut\n\n", () => this.#response.socket?.destroy());
    else this.#response.socket?.destroy();
  }

  #delta(delta: object): void {
    if (this.#streams) this.#send({ choices: [{ index: 0, delta, finish_reason: null }] });
  }

  #send(body: object): void {
    this.#response.write(`data: ${JSON.stringify({ ...this.#head, object: "chat.completion.chunk", ...body })}\n\n`);
  }
}

function toUsage({ input, output, cached = 0, reasoning = 0 }: ScriptUsage) {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
    completion_tokens_details: { reasoning_tokens: reasoning },
  };
}

/** A whole streamed answer of so many tokens, made once so that serving it costs next to nothing. */
export function fastAnswer(tokens: number): Buffer {
  const event = (body: object) =>
    `data: ${JSON.stringify({ id: "chatcmpl-0", created: 0, model: "scripted", object: "chat.completion.chunk", ...body })}\n\n`;
  const piece = (delta: object, finish_reason: string | null = null) =>
    event({ choices: [{ index: 0, delta, finish_reason }] });
  const pieces = Array.from({ length: tokens }, (_, i) => piece({ content: `t${i} ` }));
  const usage = event({ choices: [], usage: toUsage({ input: 10, output: tokens }) });
  return Buffer.from(
    [piece({ role: "assistant", content: "" }), ...pieces, piece({}, "stop"), usage, "data: [DONE]\n\n"].join(""),
  );
}
