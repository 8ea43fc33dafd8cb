import { expect, test } from "vitest";
import { callerContent, callerMetadata, MAX_MESSAGE_BYTES, queuePreview } from "#domain/session/content";
import type { MessageContent } from "#domain/session/values";

test("text is trimmed, parts stay as they are", () => {
  expect(callerContent("  hello \n")).toBe("hello");
  const parts: MessageContent = [
    { type: "text", text: " a " },
    { type: "image", image: "https://example.org/a.png" },
  ];
  expect(callerContent(parts)).toEqual(parts);
});

test.for<[string, MessageContent, string]>([
  ["blank text", "  ", "invalid"],
  ["no parts", [], "invalid"],
  ["only blank parts", [{ type: "text", text: " " }], "invalid"],
  ["text over the limit", "x".repeat(MAX_MESSAGE_BYTES), "too_large"],
])("%s is refused", ([, content, code]) => {
  expect(() => callerContent(content)).toThrow(expect.objectContaining({ code }));
});

test("reserved metadata keys are dropped, others are kept", () => {
  expect(callerMetadata({ origin: "engine", mode: "x", note: 1 })).toEqual({ note: 1 });
  expect(callerMetadata({ taskNotification: true })).toBeNull();
  expect(callerMetadata(null)).toBeNull();
});

test("metadata over 256 KiB is refused", () => {
  const note = (length: number) => ({ note: "x".repeat(length) });
  expect(callerMetadata(note(262_000))).toEqual(note(262_000));
  expect(() => callerMetadata(note(262_144))).toThrow(expect.objectContaining({ code: "too_large" }));
});

test("a queue listing names attachments", () => {
  expect(
    queuePreview([
      { type: "text", text: "look" },
      { type: "image", image: "data:" },
      { type: "file", data: "", mediaType: "text/plain", filename: "a.txt" },
    ]),
  ).toBe("look\n[image]\n[file a.txt]");
});
