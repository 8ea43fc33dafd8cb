import { expect, test } from "vitest";
import { nextAction } from "#domain/agent/next-action";

const open = {
  call: { type: "tool-call" as const, toolCallId: "c1", toolName: "Bash", input: {} },
  begun: false,
  modelStepSeq: 1,
};

test.for([
  {
    when: "nothing happened yet",
    progress: { modelCalls: 0, finished: false, openCalls: [] },
    maxSteps: null,
    next: "model",
  },
  {
    when: "a call is open",
    progress: { modelCalls: 1, finished: false, openCalls: [open] },
    maxSteps: null,
    next: "tools",
  },
  {
    when: "all calls have results",
    progress: { modelCalls: 1, finished: false, openCalls: [] },
    maxSteps: null,
    next: "model",
  },
  {
    when: "the model asked for nothing",
    progress: { modelCalls: 2, finished: true, openCalls: [] },
    maxSteps: null,
    next: "done",
  },
  {
    when: "the limit is not reached",
    progress: { modelCalls: 2, finished: false, openCalls: [] },
    maxSteps: 3,
    next: "model",
  },
  {
    when: "the limit is reached",
    progress: { modelCalls: 3, finished: false, openCalls: [] },
    maxSteps: 3,
    next: "exhausted",
  },
  {
    when: "the limit is reached with calls open",
    progress: { modelCalls: 3, finished: false, openCalls: [open] },
    maxSteps: 3,
    next: "tools",
  },
  {
    when: "the last allowed call was the answer",
    progress: { modelCalls: 3, finished: true, openCalls: [] },
    maxSteps: 3,
    next: "done",
  },
  {
    when: "a limit of one counts as two",
    progress: { modelCalls: 1, finished: false, openCalls: [] },
    maxSteps: 1,
    next: "model",
  },
  {
    when: "a limit of one is used up",
    progress: { modelCalls: 2, finished: false, openCalls: [] },
    maxSteps: 1,
    next: "exhausted",
  },
])("next is $next when $when", ({ progress, maxSteps, next }) => {
  expect(nextAction(progress, { maxSteps }).type).toBe(next);
});
