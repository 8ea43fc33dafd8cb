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
/** The file of a form of at most this size is sent on in one piece. */
const SMALL_FORM_BYTES = 256 * 1024;
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
    const whole = announced > 0 && announced <= SMALL_FORM_BYTES;
    let path: string | undefined;
    for await (const part of parts) {
      if (part.name === "path") path = await readPath(part);
      if (part.name !== "file") continue;
      const into = path;
      const write: Write = async (to) =>
        void (await link.write(to, whole ? await readWhole(part) : part.body, { overwrite: true }));
      return orInvalid(() => (into === undefined ? beforePath(ctx, link, write, parts) : write(into)));
    }
    throw missing(path === undefined ? "path" : "file");
  };
  return readForm(request, receive, limitBytes);
}

type Write = (path: string) => Promise<void>;

/** Bytes need no look at the sandbox before they are sent, as a stream does, which can be sent once only. */
const readWhole = async ({ body }: Part): Promise<Uint8Array> => new Uint8Array(await new Response(body).arrayBuffer());

/** A file that comes before its path waits under a name of its own in the sandbox (R260). */
async function beforePath(ctx: Ctx, link: SandboxLink, write: Write, parts: AsyncIterable<Part>): Promise<void> {
  const waiting = `.longshore-${ctx.newId("operation")}.tmp`;
  try {
    await write(waiting);
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
