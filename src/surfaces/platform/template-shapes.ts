import { z } from "zod";
import type { Template } from "#domain/template/repo";
import { PLATFORM_TEAM } from "#domain/template/values";
import { iso } from "#kernel/time";

export const TemplateResource = z
  .object({
    name: z.string(),
    type: z.enum(["base", "snapshot"]),
    vcpus: z.int().nullable(),
    memory_mb: z.int().nullable(),
    size_bytes: z.int().meta({ format: "int64" }),
    created_at: z.iso.datetime(),
    platform: z.boolean().describe("True for a template of the platform, which every team may use."),
    metadata: z.record(z.string(), z.string()).nullable(),
  })
  .meta({ id: "Template" });

export const toTemplate = (template: Template): z.input<typeof TemplateResource> => ({
  name: template.name,
  type: template.type,
  vcpus: template.vcpus,
  memory_mb: template.memoryMb,
  size_bytes: template.sizeBytes,
  created_at: iso(template.createdAt),
  platform: template.teamId === PLATFORM_TEAM,
  metadata: Object.keys(template.metadata).length > 0 ? template.metadata : null,
});
