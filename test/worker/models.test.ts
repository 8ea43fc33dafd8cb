import { expect, test, vi } from "vitest";
import type { ModelPart, ModelRequest } from "#domain/model/ports";
import { toolSpec } from "#domain/tool/tool";
import { NATIVE_TOOLS } from "#domain/tool/tools";
import { catalog } from "#platform/models/catalog";
import { modelServer } from "#test/worker/models";

const request = (script: string, signal = new AbortController().signal): ModelRequest => ({
  system: "be brief",
  messages: [{ role: "user", content: `script:${script}` }],
  tools: NATIVE_TOOLS.map(toolSpec),
  signal,
});

async function collect(parts: AsyncIterable<ModelPart>): Promise<ModelPart[]> {
  const all: ModelPart[] = [];
  for await (const part of parts) all.push(part);
  return all;
}

const model = () => catalog({ MODELS: modelServer.setting() }).get(null);

test("in workerd, text and tool calls stream over HTTP", async () => {
  const call = { call: { name: "Bash", input: { command: "ls" }, id: "c1" } };
  await modelServer.script("workerd-tools", [{ steps: [{ text: "Look: " }, { text: "now" }, call] }]);
  expect(await collect(model().stream(request("workerd-tools")))).toEqual([
    { type: "text", delta: "Look: " },
    { type: "text", delta: "now" },
    { type: "tool-call", call: { type: "tool-call", toolCallId: "c1", toolName: "Bash", input: { command: "ls" } } },
    { type: "finish", reason: "tool-calls", usage: expect.objectContaining({ inputTokens: 10, outputTokens: 5 }) },
  ]);
});

test("in workerd, a piece arrives before the answer is complete, and an abort ends the stream at once", async () => {
  await modelServer.script("workerd-hang", [{ steps: [{ text: "half" }, { wait: "workerd-gate" }] }]);
  const abort = new AbortController();
  const parts = model().stream(request("workerd-hang", abort.signal))[Symbol.asyncIterator]();
  expect((await parts.next()).value).toEqual({ type: "text", delta: "half" });
  await vi.waitUntil(async () => (await modelServer.waiting("workerd-gate")) === 1);
  const next = parts.next();
  const reason = new Error("cancelled");
  abort.abort(reason);
  await expect(next).rejects.toBe(reason);
  await vi.waitUntil(async () => (await modelServer.waiting("workerd-gate")) === 0);
});

test("in workerd, a refusal carries the provider's message and status", async () => {
  await modelServer.script("workerd-refused", [{ error: { status: 401, message: "bad key" } }]);
  await expect(collect(model().stream(request("workerd-refused")))).rejects.toMatchObject({
    name: "ModelError",
    status: 401,
    message: "bad key",
  });
});

test.for(["reset", "end"] as const)("in workerd, an answer cut in the middle (%s) is an error", async (cut) => {
  await modelServer.script(`workerd-${cut}`, [{ steps: [{ text: "half" }, { cut }] }]);
  await expect(collect(model().stream(request(`workerd-${cut}`)))).rejects.toMatchObject({ name: "ModelError" });
});
