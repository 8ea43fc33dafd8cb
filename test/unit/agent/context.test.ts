import fc from "fast-check";
import { expect, test } from "vitest";
import { buildContext, contextBudget } from "#domain/agent/context";
import type { Message, Part } from "#domain/session/values";
import { pairingProblem } from "#test/node/pairing";

const message = (role: Message["role"], content: Message["content"], runId = "old"): Message => ({
  id: "msg",
  sessionId: "ses",
  runId,
  role,
  origin: "engine",
  mode: null,
  content,
  metadata: null,
  createdAt: 0,
});
const call = (id: string): Part => ({ type: "tool-call", toolCallId: id, toolName: "Bash", input: { command: id } });
const result = (id: string): Part => ({
  type: "tool-result",
  toolCallId: id,
  toolName: "Bash",
  output: { type: "text", value: `out ${id}` },
});
const build = (history: Message[], budgetChars = 1_000_000) =>
  buildContext({ system: "sys", history, runId: "now", budgetChars });

test("parallel calls stand in one message, their results directly behind it in the order of the calls", () => {
  const { messages } = build([
    message("user", "go"),
    message("assistant", [{ type: "text", text: "both" }]),
    message("assistant", [call("a")]),
    message("assistant", [call("b")]),
    message("tool", [result("b")]),
    message("tool", [result("a")]),
    message("assistant", "done"),
  ]);
  expect(messages).toEqual([
    { role: "user", content: "go" },
    { role: "assistant", content: [{ type: "text", text: "both" }, call("a"), call("b")] },
    { role: "tool", content: [result("a"), result("b")] },
    { role: "assistant", content: [{ type: "text", text: "done" }] },
  ]);
});

test("a call left open by a cancelled run is closed with an error", () => {
  const { messages } = build([
    message("user", "go"),
    message("assistant", [call("a")]),
    message("assistant", [call("b")]),
    message("tool", [result("a")]),
    message("user", "next", "now"),
  ]);
  expect(messages[2]!.content).toEqual([
    result("a"),
    expect.objectContaining({ toolCallId: "b", output: expect.objectContaining({ type: "error-text" }) }),
  ]);
  expect(pairingProblem(messages)).toBe(null);
});

test("text of this run's cut call is left out, partial text of earlier runs stays", () => {
  const { messages } = build([
    message("user", "one"),
    message("assistant", "partial"),
    message("user", "two", "now"),
    message("assistant", "cut by a cra", "now"),
  ]);
  expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
});

test("system messages of the history join the system prompt, empty answers and results without a call vanish", () => {
  const context = build([
    message("system", "note"),
    message("tool", [result("x")]),
    message("user", "one"),
    message("assistant", ""),
    message("user", "two", "now"),
  ]);
  expect(context.system).toBe("sys\n\nnote");
  expect(context.messages.map(({ content }) => content)).toEqual(["one", "two"]);
});

test("reasoning is shown to the model within its own run only", () => {
  const thought: Part = { type: "reasoning", text: "hm" };
  const { messages } = build([
    message("user", "one"),
    message("assistant", [thought, { type: "text", text: "a" }]),
    message("user", "two", "now"),
    message("assistant", [thought], "now"),
    message("assistant", [call("a")], "now"),
    message("tool", [result("a")], "now"),
  ]);
  expect(messages[1]!.content).toEqual([{ type: "text", text: "a" }]);
  expect(messages[3]!.content).toEqual([thought, call("a")]);
});

test("over the budget, whole oldest turns go first and the model is told", () => {
  const turns = [0, 1, 2].flatMap((n) => [
    message("user", `q${n}`.padEnd(100)),
    message("assistant", `a${n}`.padEnd(100)),
  ]);
  const context = build([...turns, message("user", "now", "now")], 300);
  expect(context.messages.map(({ content }) => (typeof content === "string" ? content : "answer").trim())).toEqual([
    "q2",
    "answer",
    "now",
  ]);
  expect(context.system).toContain("left out");
});

test("a turn over the budget keeps its message and its newest answers", () => {
  const rounds = ["a", "b", "c"].flatMap((id) => [
    message("assistant", [call(id)], "now"),
    message("tool", [result(id)], "now"),
  ]);
  const { messages } = build([message("user", "go", "now"), ...rounds], 300);
  expect(messages.map(({ content }) => content)).toEqual(["go", [call("c")], [result("c")]]);
});

test("whatever the history and the budget, a strict provider takes the context", () => {
  const step = fc.oneof(
    fc.constant<Message>(message("user", "hello")),
    fc.constantFrom("", "text").map((text) => message("assistant", text)),
    fc.nat(5).map((n) => message("assistant", [call(`c${n}`)])),
    fc.nat(5).map((n) => message("tool", [result(`c${n}`)])),
  );
  // Ids are unique in a session, so the second of two equal calls is dropped from the generated history.
  const history = fc.array(step, { maxLength: 30 }).map((steps) => {
    const seen = new Set<string>();
    return steps.filter(({ role, content }) => {
      const key = JSON.stringify(content);
      if (role === "user" || typeof content === "string") return true;
      return !seen.has(key) && seen.add(key);
    });
  });
  fc.assert(
    fc.property(history, fc.nat(2_000), (steps, budget) => {
      const { messages } = build([...steps, message("user", "now", "now")], budget);
      expect(pairingProblem(messages)).toBe(null);
      expect(messages.at(-1)).toEqual({ role: "user", content: "now" });
    }),
  );
});

test("the budget follows the model's window", () => {
  expect(contextBudget(128_000)).toBe(384_000);
  expect(contextBudget(null)).toBe(400_000);
});
