import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Model, ModelPart, ModelRequest } from "#domain/model/ports";
import { toolSpec } from "#domain/tool/tool";
import { NATIVE_TOOLS } from "#domain/tool/tools";
import { catalog } from "#platform/models/catalog";
import { call, fail, say, turn } from "#test/node/model-script";
import { ModelServer } from "#test/node/model-server";

let server: ModelServer;
let model: Model;

beforeAll(async () => {
  server = await ModelServer.start({
    scripts: {
      plain: [say("Hello, ", "world")],
      usage: [
        { steps: [{ reasoning: "hm" }, { text: "ok" }], usage: { input: 100, output: 20, cached: 60, reasoning: 7 } },
      ],
      tools: [turn({ text: "Both: " }, call("Bash", { command: "ls" }, "c1"), call("Read", { file_path: "a" }, "c2"))],
      malformed: [turn(call("Bash", '{"command": "ls', "c1"))],
      unknown: [turn(call("Teleport", { to: "moon" }, "c1"))],
      refused: [fail(400, "the prompt is too long")],
      unauthorized: [fail(401, "bad key")],
      flaky: [[fail(429, "slow down", 0), fail(500, "oops", 0), say("at last")]],
      broken: [fail(500, "always", 0)],
      reset: [turn({ text: "half an ans" }, { cut: "reset" })],
      end: [turn({ text: "half an ans" }, { cut: "end" })],
      hang: [turn({ text: "half" }, { wait: "never" }, { text: " more" })],
    },
  });
  const models = { local: { provider: "openai-compatible", model: "test-model", url: server.url, key: "LOCAL_KEY" } };
  model = catalog({ MODELS: JSON.stringify({ models }), LOCAL_KEY: "k-123" } as object).get(null);
});
afterAll(() => server.close());

const request = (script: string, more: Partial<ModelRequest> = {}): ModelRequest => ({
  system: "be brief",
  messages: [{ role: "user", content: `script:${script}` }],
  tools: NATIVE_TOOLS.map(toolSpec),
  signal: new AbortController().signal,
  ...more,
});

async function collect(parts: AsyncIterable<ModelPart>): Promise<ModelPart[]> {
  const all: ModelPart[] = [];
  for await (const part of parts) all.push(part);
  return all;
}

test("text streams in pieces and ends with reason and usage", async () => {
  expect(await collect(model.stream(request("plain", { temperature: 0.5, maxOutputTokens: 99 })))).toEqual([
    { type: "text", delta: "Hello, " },
    { type: "text", delta: "world" },
    {
      type: "finish",
      reason: "stop",
      usage: expect.objectContaining({ inputTokens: 10, outputTokens: 5, totalTokens: 15 }),
    },
  ]);
  const sent = server.requests.at(-1)!;
  expect(sent.headers.authorization).toBe("Bearer k-123");
  expect(sent.body).toMatchObject({
    model: "test-model",
    stream: true,
    temperature: 0.5,
    max_tokens: 99,
    messages: [
      { role: "system", content: "be brief" },
      { role: "user", content: "script:plain" },
    ],
  });
  expect(sent.body.tools?.[0]).toMatchObject({
    type: "function",
    function: { name: "Bash", parameters: { type: "object", required: ["command"] } },
  });
});

test("usage names cached and reasoning tokens", async () => {
  const parts = await collect(model.stream(request("usage")));
  expect(parts[0]).toEqual({ type: "reasoning", delta: "hm" });
  const usage = { inputTokens: 100, outputTokens: 20, totalTokens: 120, cachedInputTokens: 60, reasoningTokens: 7 };
  expect(parts.at(-1)).toEqual({ type: "finish", reason: "stop", usage });
});

test("parallel tool calls arrive whole and are not executed", async () => {
  const parts = await collect(model.stream(request("tools")));
  const wanted = (toolCallId: string, toolName: string, input: object) => ({
    type: "tool-call",
    call: { type: "tool-call", toolCallId, toolName, input },
  });
  expect(parts.slice(1, 3)).toEqual([
    wanted("c1", "Bash", { command: "ls" }),
    wanted("c2", "Read", { file_path: "a" }),
  ]);
  expect(parts.at(-1)).toMatchObject({ type: "finish", reason: "tool-calls" });
});

test("malformed arguments are passed on as they came", async () => {
  const parts = await collect(model.stream(request("malformed")));
  expect(parts[0]).toMatchObject({
    type: "bad-tool-call",
    toolCallId: "c1",
    toolName: "Bash",
    input: '{"command": "ls',
  });
});

test("a call of a tool nobody offered is passed on as a call", async () => {
  const parts = await collect(model.stream(request("unknown")));
  expect(parts[0]).toMatchObject({ type: "tool-call", call: { toolName: "Teleport", input: { to: "moon" } } });
});

test.for([
  ["refused", 400, "the prompt is too long"],
  ["unauthorized", 401, "bad key"],
  ["broken", 500, "always"],
] as const)("a %s call fails with status %i and the provider's message", async ([script, status, message]) => {
  await expect(collect(model.stream(request(script)))).rejects.toMatchObject({ name: "ModelError", status, message });
});

test("a busy provider is asked again", async () => {
  const parts = await collect(model.stream(request("flaky")));
  expect(parts[0]).toEqual({ type: "text", delta: "at last" });
});

test.for(["reset", "end"])("an answer cut in the middle (%s) is an error, after what had come", async (script) => {
  const parts: ModelPart[] = [];
  const reading = (async () => {
    for await (const part of model.stream(request(script))) parts.push(part);
  })();
  await expect(reading).rejects.toMatchObject({ name: "ModelError" });
  expect(parts[0]).toEqual({ type: "text", delta: "half an ans" });
  expect(parts.some((part) => part.type === "finish")).toBe(false);
});

test("an abort ends the stream at once and reaches the provider", async () => {
  const abort = new AbortController();
  const reason = new Error("cancelled");
  const reading = collect(model.stream(request("hang", { signal: abort.signal })));
  reading.catch(() => {});
  await vi.waitUntil(() => server.waiting("never") === 1);
  abort.abort(reason);
  await expect(reading).rejects.toBe(reason);
  await vi.waitUntil(() => server.requests.at(-1)!.aborted);
});

test("a server that is not there is an error with its reason", async () => {
  const MODELS = '{"models":{"gone":{"provider":"openai-compatible","model":"m","url":"http://127.0.0.1:1/v1"}}}';
  const gone = catalog({ MODELS }).get("gone");
  await expect(collect(gone.stream(request("plain")))).rejects.toMatchObject({ name: "ModelError", status: null });
});

test("a strict server takes a conversation with tools", async () => {
  const parts = await collect(
    model.stream(
      request("plain", {
        messages: [
          { role: "user", content: "look" },
          { role: "assistant", content: [{ type: "tool-call", toolCallId: "c1", toolName: "Bash", input: '{"comm' }] },
          {
            role: "tool",
            content: [
              { type: "tool-result", toolCallId: "c1", toolName: "Bash", output: { type: "error-text", value: "bad" } },
            ],
          },
          { role: "user", content: "script:plain" },
        ],
      }),
    ),
  );
  expect(parts.at(-1)).toMatchObject({ type: "finish", reason: "stop" });
  expect(server.requests.at(-1)!.body.messages[2]!.tool_calls![0]!.function.arguments).toBe(
    '{"malformed_input":"{\\"comm"}',
  );
});
