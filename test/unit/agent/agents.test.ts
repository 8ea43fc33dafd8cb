import { expect, test } from "vitest";
import { findAgent, listAgents, parseAgentLimits, pickAgent } from "#domain/agent/agents";
import { NATIVE_TOOLS } from "#domain/tool/tools";

test("the built-in agents name only tools that exist", () => {
  const known = NATIVE_TOOLS.map(({ name }) => name);
  for (const agent of listAgents()) expect(known).toEqual(expect.arrayContaining([...agent.tools]));
  expect(listAgents().map(({ name, tools }) => [name, tools.length])).toEqual([
    ["assistant", 0],
    ["builder", 6],
  ]);
});

test("a session without an agent gets the assistant, and an unknown one is refused", () => {
  expect(pickAgent(null).name).toBe("assistant");
  expect(pickAgent("builder").name).toBe("builder");
  expect(findAgent("nobody")).toBeUndefined();
  expect(() => pickAgent("nobody")).toThrow(expect.objectContaining({ code: "agent_not_found" }));
});

test("limits come from configuration", () => {
  const limits = parseAgentLimits({ RUN_TIMEOUT_SECONDS: "30", TOOL_TIMEOUT_SECONDS: "" });
  expect(pickAgent("builder", limits).policy).toMatchObject({ runTimeoutSeconds: 30, toolTimeoutSeconds: null });
  expect(() => parseAgentLimits({ RUN_TIMEOUT_SECONDS: "soon", TOOL_TIMEOUT_SECONDS: "" })).toThrow(
    "RUN_TIMEOUT_SECONDS",
  );
});
