import type { IncomingHttpHeaders } from "node:http";
import { afterEach, expect, test } from "vitest";
import type { ModelPart, ModelRequest } from "#domain/model/ports";
import { catalog } from "#platform/models/catalog";
import { TestServer } from "#test/node/test-server";

type Seen = { path: string; headers: IncomingHttpHeaders; body: Record<string, unknown> };

const servers: TestServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

/** A server that answers every request with the same body and remembers the requests. */
async function canned(body: string, status = 200): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = new TestServer((request, text, response) => {
    seen.push({ path: request.url!, headers: request.headers, body: JSON.parse(text) as Seen["body"] });
    response.writeHead(status, { "content-type": status === 200 ? "text/event-stream" : "application/json" });
    response.end(body);
  });
  await server.listen();
  servers.push(server);
  return { url: `${server.origin}/v1`, seen };
}

const sse = (events: readonly ({ type: string } & Record<string, unknown>)[]) =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");

const TOOL = {
  name: "Bash",
  description: "run",
  inputSchema: { type: "object", properties: { command: { type: "string" } } },
};
const REQUEST: ModelRequest = {
  system: "be brief",
  messages: [
    { role: "user", content: "go" },
    {
      role: "assistant",
      content: [
        { type: "reasoning", text: "hm" },
        { type: "tool-call", toolCallId: "c1", toolName: "Bash", input: { command: "ls" } },
      ],
    },
    {
      role: "tool",
      content: [{ type: "tool-result", toolCallId: "c1", toolName: "Bash", output: { type: "text", value: "a.txt" } }],
    },
  ],
  tools: [TOOL],
  maxOutputTokens: 50,
  signal: new AbortController().signal,
};

async function collect(env: object): Promise<ModelPart[]> {
  const parts: ModelPart[] = [];
  for await (const part of catalog(env).get(null).stream(REQUEST)) parts.push(part);
  return parts;
}

test("anthropic: the request has the system prompt, paired tools and the key, and the answer is understood", async () => {
  const { url, seen } = await canned(
    sse([
      {
        type: "message_start",
        message: {
          id: "m",
          type: "message",
          role: "assistant",
          model: "claude",
          content: [],
          usage: { input_tokens: 9, output_tokens: 1 },
        },
      },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "tool_use", id: "t1", name: "Bash", input: {} } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '{"command":"pwd"}' } },
      { type: "content_block_stop", index: 1 },
      { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 4 } },
      { type: "message_stop" },
    ]),
  );
  const models = { main: { provider: "anthropic", model: "claude-x", url, key: "ANTHROPIC" } };
  expect(await collect({ MODELS: JSON.stringify({ models }), ANTHROPIC: "key-1" })).toEqual([
    { type: "text", delta: "Hi" },
    { type: "tool-call", call: { type: "tool-call", toolCallId: "t1", toolName: "Bash", input: { command: "pwd" } } },
    { type: "finish", reason: "tool-calls", usage: expect.objectContaining({ inputTokens: 9, outputTokens: 4 }) },
  ]);
  expect(seen[0]).toMatchObject({
    path: "/v1/messages",
    headers: { "x-api-key": "key-1" },
    body: {
      model: "claude-x",
      stream: true,
      max_tokens: 50,
      system: [{ type: "text", text: "be brief" }],
      messages: [
        { role: "user", content: [{ type: "text", text: "go" }] },
        { role: "assistant", content: [{ type: "tool_use", id: "c1", name: "Bash", input: { command: "ls" } }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "c1" }] },
      ],
      tools: [{ name: "Bash", input_schema: { type: "object" } }],
    },
  });
});

test("openai: the request goes to the responses interface, and the answer is understood", async () => {
  const usage = {
    input_tokens: 9,
    output_tokens: 4,
    input_tokens_details: { cached_tokens: 3 },
    output_tokens_details: { reasoning_tokens: 0 },
  };
  const item = { type: "message", id: "i1", role: "assistant", status: "completed", content: [] };
  const { url, seen } = await canned(
    sse([
      { type: "response.created", response: { id: "r", created_at: 0, model: "gpt" } },
      { type: "response.output_item.added", output_index: 0, item },
      { type: "response.output_text.delta", item_id: "i1", output_index: 0, content_index: 0, delta: "Hi" },
      { type: "response.output_item.done", output_index: 0, item },
      { type: "response.completed", response: { id: "r", created_at: 0, model: "gpt", output: [], usage } },
    ]),
  );
  const models = { main: { provider: "openai", model: "gpt-x", url, key: "OPENAI" } };
  expect(await collect({ MODELS: JSON.stringify({ models }), OPENAI: "key-2" })).toEqual([
    { type: "text", delta: "Hi" },
    { type: "finish", reason: "stop", usage: expect.objectContaining({ inputTokens: 9, cachedInputTokens: 3 }) },
  ]);
  expect(seen[0]).toMatchObject({
    path: "/v1/responses",
    headers: { authorization: "Bearer key-2" },
    body: {
      model: "gpt-x",
      stream: true,
      max_output_tokens: 50,
      input: [
        { content: "be brief" },
        { role: "user" },
        { type: "function_call", call_id: "c1", name: "Bash", arguments: '{"command":"ls"}' },
        { type: "function_call_output", call_id: "c1", output: "a.txt" },
      ],
      tools: [{ type: "function", name: "Bash" }],
    },
  });
});

test("workers-ai: the binding is called with the conversation, and the answer is understood", async () => {
  const runs: { model: string; inputs: Record<string, unknown> }[] = [];
  const AI = {
    run: async (model: string, inputs: Record<string, unknown>) => {
      runs.push({ model, inputs });
      const events = [
        { response: "Hi" },
        { response: "", usage: { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 } },
      ];
      return new Blob([...events.map((event) => `data: ${JSON.stringify(event)}\n\n`), "data: [DONE]\n\n"]).stream();
    },
  };
  const models = { main: { provider: "workers-ai", model: "@cf/some/model" } };
  expect(await collect({ MODELS: JSON.stringify({ models }), AI })).toEqual([
    { type: "text", delta: "Hi" },
    { type: "finish", reason: "stop", usage: expect.objectContaining({ inputTokens: 9, outputTokens: 1 }) },
  ]);
  expect(runs[0]).toMatchObject({ model: "@cf/some/model", inputs: { stream: true, max_tokens: 50 } });
  expect((runs[0]!.inputs.messages as { role: string }[]).map(({ role }) => role)).toEqual([
    "system",
    "user",
    "assistant",
    "tool",
  ]);
});

test("workers-ai without its binding fails with the reason", async () => {
  const models = { main: { provider: "workers-ai", model: "@cf/some/model" } };
  await expect(collect({ MODELS: JSON.stringify({ models }) })).rejects.toThrow(/needs the Workers AI binding/);
});

test("openai-compatible: headers of the configuration are sent, and no key when none is named", async () => {
  const { url, seen } = await canned(
    'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
  );
  const models = { main: { provider: "openai-compatible", model: "m", url, headers: { "x-team": "blue" } } };
  expect((await collect({ MODELS: JSON.stringify({ models }) }))[0]).toEqual({ type: "text", delta: "Hi" });
  expect(seen[0]!.path).toBe("/v1/chat/completions");
  expect(seen[0]!.headers).toMatchObject({ "x-team": "blue" });
  expect(seen[0]!.headers.authorization).toBeUndefined();
  expect((seen[0]!.body.messages as object[])[2]).toMatchObject({ role: "assistant", reasoning_content: "hm" });
});

test("a missing secret is named, and T10 a key that a provider quotes does not reach the message", async () => {
  const { url } = await canned(JSON.stringify({ error: { message: "bad key sk-secret!" } }), 401);
  const MODELS = JSON.stringify({
    models: { main: { provider: "openai-compatible", model: "m", url, key: "SOME_KEY" } },
  });
  await expect(collect({ MODELS })).rejects.toThrow("model platform/main needs the secret SOME_KEY, which is not set");
  await expect(collect({ MODELS, SOME_KEY: "sk-secret" })).rejects.toMatchObject({
    message: "bad key [key]!",
    status: 401,
  });
  const headers = { "x-gateway": "sk-secret" };
  const behindGateway = { models: { main: { provider: "openai-compatible", model: "m", url, headers } } };
  await expect(collect({ MODELS: JSON.stringify(behindGateway) })).rejects.toThrow("bad key [key]!");
});
