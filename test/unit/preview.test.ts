import fc from "fast-check";
import { expect, test } from "vitest";
import { previewOrigin, readPreviewHost } from "#domain/preview/values";
import { newId } from "#kernel/id";
import { isEndToEnd } from "#protocol/preview";

const ID = newId("sandbox", 1_800_000_000_000);
const DOMAIN = "preview.example.net";

test.for<[host: string, port: number | undefined, id: string | undefined]>([
  [`8080-${ID}.${DOMAIN}`, 8080, ID],
  [`8080-${ID.replace("_", "-")}.${DOMAIN}`, 8080, ID],
  [`1-${ID}.localhost`, 1, ID],
  [`65535-${ID}.localhost`, 65_535, ID],
  [`65536-${ID}.localhost`, undefined, ID],
  [`0-${ID}.localhost`, undefined, ID],
  [`08080-${ID}.localhost`, undefined, ID],
  [`http-${ID}.localhost`, undefined, ID],
  [`-8080-${ID}.localhost`, undefined, ID],
  [`8080-nothing.${DOMAIN}`, 8080, undefined],
  [`8080-${ID}x.${DOMAIN}`, 8080, undefined],
])("R422: %s asks for port %s of %s", ([host, port, sandboxId]) => {
  expect(readPreviewHost(host, `${DOMAIN}:8443`)).toEqual({ port, sandboxId });
});

test.for([
  DOMAIN,
  "localhost",
  "127.0.0.1",
  `a.${DOMAIN}`,
  `api-v2.${DOMAIN}`,
  `8080-${ID}.example.com`,
  `a.8080-${ID}.${DOMAIN}`,
  ID,
])("%s is no host of a preview", (host) => {
  expect(readPreviewHost(host, DOMAIN)).toBeUndefined();
});

test("the origin of a preview is read as what it was made from", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 65_535 }), fc.constantFrom("", DOMAIN, "localhost:8787"), (port, domain) => {
      const origin = previewOrigin(port, ID, domain, "http://127.0.0.1:8787/x");
      expect(readPreviewHost(new URL(origin ?? "").hostname, domain)).toEqual({ port, sandboxId: ID });
    }),
  );
  expect(previewOrigin(80, ID, "", "http://127.0.0.1:8787/x")).toBe(`http://80-${ID}.localhost:8787`);
  expect(previewOrigin(80, ID, DOMAIN, "http://127.0.0.1:8787/x")).toBe(`https://80-${ID}.${DOMAIN}`);
  expect(previewOrigin(80, ID, "", "https://longshore.example.com/")).toBeUndefined();
});

test("headers of one hop, and those that the way writes, are not between the two ends", () => {
  const dropped = ["connection", "upgrade", "te", "x-forwarded-for", "cf-ray", "x-preview-answer", "cdn-loop"];
  expect(dropped.filter(isEndToEnd)).toEqual([]);
  expect(["accept", "cookie", "range", "x-request-id", "sec-websocket-protocol"].every(isEndToEnd)).toBe(true);
});
