const BOUNDARY = "longshore-test-form";

export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

/** A form with its fields in the given order; those that hold bytes are files. */
export function formOf(...fields: [name: string, content: string | Uint8Array][]): Uint8Array {
  const encode = (text: string) => new TextEncoder().encode(text);
  const pieces = fields.flatMap(([name, content]) => {
    const file = typeof content === "string" ? "" : '; filename="upload.bin"\r\nContent-Type: application/octet-stream';
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
    return [encode(head), typeof content === "string" ? encode(content) : content, encode("\r\n")];
  });
  const all = [...pieces, encode(`--${BOUNDARY}--\r\n`)];
  const bytes = new Uint8Array(all.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of all) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
