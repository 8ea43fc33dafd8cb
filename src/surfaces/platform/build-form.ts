import { archiveKey, MAX_ARCHIVE_BYTES } from "#domain/build/archive";
import type { Ctx } from "#domain/context";
import { readForm, readPartText } from "#http/multipart";
import type { FormField, RawRequest, Received } from "#http/operation";
import { Fault } from "#kernel/fault";
import { CreateBuildBody } from "#surfaces/platform/build-shapes";

const MAX_CONFIG_BYTES = 1024 * 1024;

export const BUILD_FORM: Record<string, FormField> = {
  config: { type: "text", description: "What the JSON body is otherwise" },
  archive: { type: "file", description: "What COPY takes from: a tar, tar.gz or zip of up to 100 MiB", optional: true },
};

/** Reads a build that comes as a form; its archive is put aside under a key. One that is not taken is deleted again. */
export async function receiveBuild(ctx: Ctx, raw: RawRequest): Promise<Received> {
  let archive: string | undefined;
  let text: string | undefined;
  try {
    await readForm(raw, async (parts) => {
      for await (const part of parts) {
        if (part.name === "config") text = await readPartText(part, MAX_CONFIG_BYTES);
        if (part.name !== "archive") continue;
        if (archive !== undefined) throw new Fault("invalid", "a build has one archive");
        const key = archiveKey(ctx.newId("operation"));
        if (!(await ctx.archives.put(key, part.body, MAX_ARCHIVE_BYTES)))
          throw new Fault("too_large", `an archive has at most ${MAX_ARCHIVE_BYTES} bytes`);
        archive = key;
      }
    });
    if (text === undefined) throw new Fault("invalid", "the form has no field config");
    if (!CreateBuildBody.safeParse(parsed(text)).success && archive !== undefined) await ctx.archives.delete(archive);
    return { text, received: archive };
  } catch (error) {
    if (archive !== undefined) await ctx.archives.delete(archive);
    throw error;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
