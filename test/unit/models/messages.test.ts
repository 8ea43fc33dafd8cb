import { afterAll, beforeAll, expect, test } from "vitest";
import type { ModelRequest } from "#domain/model/ports";
import { catalog } from "#platform/models/catalog";
import { toModelMessages } from "#platform/models/messages";
import { ModelServer } from "#test/node/model-server";

const call = { type: "tool-call", toolCallId: "c", toolName: "Bash", input: { command: "ls" } } as const;
const result = {
  type: "tool-result",
  toolCallId: "c",
  toolName: "Bash",
  output: { type: "text", value: "x" },
} as const;

test.for([
  ["text of a user", { role: "user", content: "hi" }, { role: "user", content: [{ type: "text", text: "hi" }] }],
  ["system text", { role: "system", content: [{ type: "text", text: "a" }] }, { role: "system", content: "a" }],
  [
    "a picture",
    { role: "user", content: [{ type: "image", image: "aGk=" }] },
    { role: "user", content: [{ type: "file", data: "aGk=", mediaType: "image" }] },
  ],
  ["a call", { role: "assistant", content: [call] }, { role: "assistant", content: [call] }],
  [
    "a call with a list as input",
    { role: "assistant", content: [{ ...call, input: [1] }] },
    { role: "assistant", content: [{ ...call, input: { malformed_input: [1] } }] },
  ],
  [
    "reasoning beside empty text",
    {
      role: "assistant",
      content: [
        { type: "reasoning", text: "hm" },
        { type: "text", text: "" },
      ],
    },
    { role: "assistant", content: [{ type: "reasoning", text: "hm" }] },
  ],
  ["a result", { role: "tool", content: [result] }, { role: "tool", content: [result] }],
  ["an empty answer", { role: "assistant", content: "" }, undefined],
  ["a result in a user's message", { role: "user", content: [result] }, undefined],
] as [string, ModelRequest["messages"][number], unknown][])("%s is converted", ([, message, expected]) => {
  expect(toModelMessages([message])).toEqual(expected === undefined ? [] : [expected]);
});

let server: ModelServer;
beforeAll(async () => {
  server = await ModelServer.start({ fastTokens: 1 });
});
afterAll(() => server.close());

test("pictures reach the provider as data or as the address they have, which is not fetched from here", async () => {
  const models = { main: { provider: "openai-compatible", model: "m", url: server.url } };
  const request: ModelRequest = {
    system: "",
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "look" },
          { type: "image", image: "https://unreachable.invalid/a.png" },
          { type: "image", image: "data:image/png;base64,iVBORw0KGgo=" },
          { type: "image", image: "iVBORw0KGgo=", mediaType: "image/png" },
        ],
      },
    ],
    tools: [],
    signal: new AbortController().signal,
  };
  const parts = catalog({ MODELS: JSON.stringify({ models }) })
    .get(null)
    .stream(request);
  for await (const part of parts) expect(part.type).toMatch(/text|finish/);
  const content = server.requests.at(-1)!.body.messages.at(-1)!.content as { image_url?: { url: string } }[];
  expect(content.slice(1).map((part) => part.image_url?.url)).toEqual([
    "https://unreachable.invalid/a.png",
    "data:image/png;base64,iVBORw0KGgo=",
    "data:image/png;base64,iVBORw0KGgo=",
  ]);
});
