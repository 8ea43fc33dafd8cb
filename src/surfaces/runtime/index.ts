import type { Surface } from "#http/surface";
import { commandOperations } from "#surfaces/runtime/commands";
import { eventOperations } from "#surfaces/runtime/events";
import { FaultBody, fault } from "#surfaces/runtime/faults";
import { fileContentOperations } from "#surfaces/runtime/file-contents";
import { fileOperations } from "#surfaces/runtime/files";
import { healthOperations } from "#surfaces/runtime/health";
import { messageOperations } from "#surfaces/runtime/messages";
import { runOperations } from "#surfaces/runtime/runs";
import { sandboxOperations } from "#surfaces/runtime/sandboxes";
import { sessionOperations } from "#surfaces/runtime/sessions";
import { workspaceOperations } from "#surfaces/runtime/workspaces";

/** Workspaces, sandboxes and durable agent sessions, as the Open Agent Harness API has them. */
export const runtimeSurface: Surface = {
  name: "runtime",
  title: "Longshore runtime API",
  description: "Workspaces with a sandbox each, files and commands in it, and agent sessions that survive crashes.",
  operations: [
    ...healthOperations,
    ...workspaceOperations,
    ...sandboxOperations,
    ...fileOperations,
    ...fileContentOperations,
    ...commandOperations,
    ...sessionOperations,
    ...messageOperations,
    ...runOperations,
    ...eventOperations,
  ],
  credentials: ["api_key", "session"],
  faultBody: FaultBody,
  fault,
};
