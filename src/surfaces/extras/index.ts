import { z } from "zod";
import { createPreviewLink } from "#domain/preview/create-preview-link";
import { LINK_LIFE } from "#domain/preview/values";
import { operation } from "#http/operation";
import type { Surface } from "#http/surface";
import { FAULTS } from "#kernel/fault";
import { iso, SECOND } from "#kernel/time";

const PreviewLink = z.object({ url: z.url(), expires_at: z.iso.datetime() }).meta({ id: "PreviewLink" });
const Seconds = z
  .int()
  .min(LINK_LIFE.leastMs / SECOND)
  .max(LINK_LIFE.mostMs / SECOND)
  .default(LINK_LIFE.usualMs / SECOND);

const operations = [
  operation({
    id: "createPreviewLink",
    method: "post",
    path: "/extras/v1/sandboxes/{id}/preview-links",
    tag: "Previews",
    summary: "Make a link to a port of a sandbox",
    description: "Whoever has the link sees that port until it expires; it cannot be taken back earlier.",
    permission: "sandbox:write",
    audits: "sandbox.port_shared",
    params: z.object({ id: z.string().max(100) }),
    body: z.object({ port: z.int().min(1).max(65_535), expires_in: Seconds }),
    returns: { status: 201, schema: PreviewLink },
    faults: ["sandbox_not_found", "unavailable"],
    run: async (ctx, { params, body, raw }) => {
      const lifeMs = body.expires_in * SECOND;
      const input = { sandboxId: params.id, port: body.port, lifeMs, requestUrl: raw.url };
      const { url, expiresAt } = await createPreviewLink(ctx, input);
      return { url, expires_at: iso(expiresAt) };
    },
  }),
];

const FaultBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** What no contract has a word for. */
export const extrasSurface: Surface = {
  name: "extras",
  title: "Longshore extras",
  description: "What goes beyond the published contracts: links to ports of sandboxes.",
  operations,
  faultBody: FaultBody,
  fault: (code, message) => ({ status: FAULTS[code].status, body: { error: { code, message } } }),
  credentials: ["api_key", "session"],
};
