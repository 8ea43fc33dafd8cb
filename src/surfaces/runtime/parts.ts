import { z } from "zod";
import { JsonObject } from "#surfaces/runtime/values";

/** The content of messages, as this contract's appendix B spells it. */
const providerOptions = JsonObject.optional();
const AnyJson = z.unknown().nonoptional();

export const TextPart = z
  .object({ type: z.literal("text"), text: z.string(), providerOptions })
  .meta({ id: "TextMessagePart" });
export const ImagePart = z
  .object({ type: z.literal("image"), image: z.string(), mediaType: z.string().optional(), providerOptions })
  .meta({ id: "ImageMessagePart" });
export const FilePart = z
  .object({
    type: z.literal("file"),
    data: z.string(),
    filename: z.string().optional(),
    mediaType: z.string(),
    providerOptions,
  })
  .meta({ id: "FileMessagePart" });
const ReasoningPart = z
  .object({ type: z.literal("reasoning"), text: z.string(), providerOptions })
  .meta({ id: "ReasoningMessagePart" });
const ToolCallPart = z
  .object({
    type: z.literal("tool-call"),
    toolCallId: z.string(),
    toolName: z.string(),
    input: AnyJson,
    providerExecuted: z.boolean().optional(),
    providerOptions,
  })
  .meta({ id: "ToolCallMessagePart" });
const ToolResultOutput = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("text"), value: z.string(), providerOptions }),
    z.object({ type: z.literal("json"), value: AnyJson, providerOptions }),
    z.object({ type: z.literal("execution-denied"), reason: z.string().optional(), providerOptions }),
    z.object({ type: z.literal("error-text"), value: z.string(), providerOptions }),
    z.object({ type: z.literal("error-json"), value: AnyJson, providerOptions }),
    z.object({ type: z.literal("content"), value: z.array(AnyJson) }),
  ])
  .meta({ id: "ToolResultOutput" });
const ToolResultPart = z
  .object({
    type: z.literal("tool-result"),
    toolCallId: z.string(),
    toolName: z.string(),
    output: ToolResultOutput,
    providerOptions,
  })
  .meta({ id: "ToolResultMessagePart" });
const ApprovalRequestPart = z
  .object({ type: z.literal("tool-approval-request"), approvalId: z.string(), toolCallId: z.string() })
  .meta({ id: "ToolApprovalRequestMessagePart" });
const ApprovalResponsePart = z
  .object({
    type: z.literal("tool-approval-response"),
    approvalId: z.string(),
    approved: z.boolean(),
    reason: z.string().optional(),
    providerExecuted: z.boolean().optional(),
  })
  .meta({ id: "ToolApprovalResponseMessagePart" });

export const UserContent = z.union([
  z.string(),
  z.array(z.discriminatedUnion("type", [TextPart, ImagePart, FilePart])),
]);
export const AssistantContent = z.union([
  z.string(),
  z.array(
    z.discriminatedUnion("type", [
      TextPart,
      FilePart,
      ReasoningPart,
      ToolCallPart,
      ToolResultPart,
      ApprovalRequestPart,
    ]),
  ),
]);
export const ToolContent = z.array(z.discriminatedUnion("type", [ToolResultPart, ApprovalResponsePart]));
