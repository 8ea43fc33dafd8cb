import type { Ctx } from "#domain/context";
import type { SandboxLink } from "#domain/sandbox/ports";
import { type FormRequest, type Part, readForm, readPartText } from "#http/multipart";
import type { FormField } from "#http/operation";
import { Fault } from "#kernel/fault";
import { orInvalid } from "#surfaces/platform/file-shapes";

/** The most that the upload without streaming takes (R244, A33). */
export const MAX_UPLOAD_BYTES = 100 * 1024 * 1024;
/** What a form may take beside the file. */
const FORM_ROOM_BYTES = 1024 * 1024;
const MAX_PATH_BYTES = 4096;

export const UPLOAD_FORM: Record<string, FormField> = {
  path: { type: "text", description: "Destination: absolute below `/workspace`, or relative to it" },
  file: { type: "file", description: "The content" },
};

/**
 * Writes the file of a form to the path in it, as it comes. Fields that are not known are passed over, as is everything
 * behind the two. Throws `invalid` when one of them is missing, `too_large` beyond `limitBytes`.
 */
export function receiveUpload(ctx: Ctx, link: SandboxLink, request: FormRequest, limitBytes?: number): Promise<void> {
  const receive = async (parts: AsyncIterable<Part>): Promise<void> => {
    const announced = Number(request.header("content-length") ?? 0);
    if (limitBytes !== undefined && announced > limitBytes + FORM_ROOM_BYTES) {
      throw new Fault("too_large", `a file has at most ${limitBytes} bytes here`);
    }
    let path: string | undefined;
    for await (const part of parts) {
      if (part.name === "path") path = await readPath(part);
      if (part.name !== "file") continue;
      const into = path;
      return orInvalid(() => (into === undefined ? beforePath(ctx, link, part, parts) : write(link, into, part)));
    }
    throw missing(path === undefined ? "path" : "file");
  };
  return readForm(request, receive, limitBytes);
}

const write = async (link: SandboxLink, path: string, { body }: Part): Promise<void> =>
  void (await link.write(path, body, { overwrite: true }));

/** A file that comes before its path waits under a name of its own in the sandbox (R260). */
async function beforePath(ctx: Ctx, link: SandboxLink, file: Part, parts: AsyncIterable<Part>): Promise<void> {
  const waiting = `.longshore-${ctx.newId("operation")}.tmp`;
  try {
    await write(link, waiting, file);
    for await (const part of parts) {
      if (part.name === "path") return void (await link.move(waiting, await readPath(part), true));
    }
    throw missing("path");
  } catch (error) {
    await link.remove(waiting, false).catch(() => {});
    throw error;
  }
}

async function readPath(part: Part): Promise<string> {
  const path = await readPartText(part, MAX_PATH_BYTES);
  if (path === "") throw missing("path");
  return path;
}

const missing = (field: string) => new Fault("invalid", `the form needs the field ${field}`);
