import fc from "fast-check";
import { expect, test } from "vitest";
import { type Part, readForm, readPartText } from "#http/multipart";
import { Fault } from "#kernel/fault";

const BOUNDARY = "----WebKitFormBoundaryx1";
const encode = (text: string) => new TextEncoder().encode(text);
const bytesOf = async (body: ReadableStream<Uint8Array>) => new Uint8Array(await new Response(body).arrayBuffer());

type Sent = { name: string; filename?: string; bytes: Uint8Array };
type Read = { name: string; filename: string | undefined; bytes: Uint8Array };

function formOf(parts: readonly Sent[], boundary = BOUNDARY): Uint8Array {
  const pieces = parts.flatMap(({ name, filename, bytes }) => [
    encode(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"`),
    encode(filename === undefined ? "\r\n\r\n" : `; filename="${filename}"\r\nContent-Type: text/x-y\r\n\r\n`),
    bytes,
    encode("\r\n"),
  ]);
  return Buffer.concat([...pieces, encode(`--${boundary}--\r\n`)]);
}

const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

/** Bytes as they come in with a request: a stream of the runtime's own. */
function requestOf(source: Uint8Array | ReadableStream<Uint8Array>, contentType = TYPE) {
  const body = source instanceof ReadableStream ? source : new Blob([source as Uint8Array<ArrayBuffer>]).stream();
  return { stream: () => body.pipeThrough(new IdentityTransformStream()), header: () => contentType };
}

/** How much is read at a time; what lies across this place of a body comes in two pieces. */
const BUFFER_BYTES = 256 * 1024;

/** A form of these parts whose byte at `cut` is the first one of the second piece. */
function cutForm(parts: readonly Sent[], cut: number): { form: Uint8Array; padding: Sent } {
  const frame = formOf([{ name: "padding", bytes: new Uint8Array() }]).length - `--${BOUNDARY}--\r\n`.length;
  // The first piece is short by the two bytes that are implied before the first delimiter.
  const padding = { name: "padding", bytes: new Uint8Array(BUFFER_BYTES - 2 - frame - cut) };
  return { form: formOf([padding, ...parts]), padding };
}

async function readAll(parts: AsyncIterable<Part>): Promise<Read[]> {
  const found: Read[] = [];
  for await (const { name, filename, body } of parts) found.push({ name, filename, bytes: await bytesOf(body) });
  return found;
}

const read = (text: string, contentType?: string) => readForm(requestOf(encode(text), contentType), readAll);
const part = (headers: string, content: string) => `--${BOUNDARY}\r\n${headers}\r\n\r\n${content}\r\n`;
const field = (name: string, content: string) => part(`Content-Disposition: form-data; name="${name}"`, content);
const END = `--${BOUNDARY}--\r\n`;

/** Bytes in which delimiters, and what looks like the beginning of one, are frequent. */
const content = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .constantFrom("\r", "\n", "\r\n", "\r\n-", "\r\n--", `\r\n--${BOUNDARY.slice(0, -1)}`, `--${BOUNDARY}`)
        .map(encode),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => new Uint8Array(Buffer.concat(pieces)))
  .filter((bytes) => !Buffer.from(bytes).includes(`\r\n--${BOUNDARY}`));

test("whatever the parts hold and wherever they are cut, they come out as they went in (R248)", async () => {
  const sent = fc.array(
    fc.record({
      name: fc.constantFrom("path", "file", "ä"),
      filename: fc.constantFrom("a;b.txt", "日本.txt", ""),
      bytes: content,
    }),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(sent, fc.nat(600), async (parts, cut) => {
      const [, ...rest] = await readForm(requestOf(cutForm(parts, cut).form), readAll);
      expect(rest).toEqual(parts);
    }),
  );
});

test("one cut at every single place changes nothing", async () => {
  const parts = [
    { name: "path", filename: undefined, bytes: encode("/a/b") },
    { name: "file", filename: "f", bytes: encode("he\r\nl\r\n--lo") },
  ];
  for (let cut = 0; cut < formOf(parts as Sent[]).length; cut++) {
    const [, ...rest] = await readForm(requestOf(cutForm(parts as Sent[], cut).form), readAll);
    expect(rest, `cut at ${cut}`).toEqual(parts);
  }
});

test("a form that ends at any place before its end is refused, and never looks whole", async () => {
  const form = formOf([
    { name: "path", bytes: encode("/a") },
    { name: "file", filename: "f", bytes: encode("hello") },
  ]);
  const last = form.length - "\r\n".length;
  for (let length = 0; length < last; length++) {
    const cut = readForm(requestOf(form.subarray(0, length)), readAll);
    await expect(cut, `cut at ${length}`).rejects.toMatchObject({ code: "invalid" });
  }
  expect(await readForm(requestOf(form.subarray(0, last)), readAll)).toHaveLength(2);
});

test("a part of more than the limit is too large, one of exactly the limit is not (R244)", async () => {
  const form = formOf([{ name: "file", bytes: new Uint8Array(1000) }]);
  expect(await readForm(requestOf(form), readAll, 1000)).toHaveLength(1);
  await expect(readForm(requestOf(form), readAll, 999)).rejects.toMatchObject({ code: "too_large" });
});

test.for<[why: string, text: string]>([
  ["no delimiter", "hello"],
  ["a delimiter with more behind it", `--${BOUNDARY}x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n${END}`],
  ["a part without a name", `${part("Content-Disposition: form-data", "a")}${END}`],
  ["a part that is no form field", `${part('Content-Disposition: attachment; name="a"', "a")}${END}`],
  ["no headers at all", `${part("X: y", "a")}${END}`],
  ["a header without a colon", `${part('Content-Disposition: form-data; name="a"\r\nnothing', "a")}${END}`],
  ["a folded header", `${part('Content-Disposition: form-data;\r\n name="a"', "a")}${END}`],
  [
    "a header twice",
    `${part('Content-Disposition: form-data; name="a"\r\ncontent-disposition: form-data; name="b"', "")}${END}`,
  ],
  ["a name twice", `${part('Content-Disposition: form-data; name="a"; name="b"', "")}${END}`],
  ["an open quote", `${part('Content-Disposition: form-data; name="a', "")}${END}`],
  [
    "an encoding",
    `${part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', "YQ==")}${END}`,
  ],
  ["lines that end with LF alone", `--${BOUNDARY}\r\nContent-Disposition: form-data; name="a"\n\nb\r\n${END}`],
  ["a long header", `${part(`Content-Disposition: form-data; name="${"a".repeat(9000)}"`, "")}${END}`],
  [
    "many headers",
    `${part(`Content-Disposition: form-data; name="a"${Array.from({ length: 17 }, (_, i) => `\r\nX-${i}: y`).join("")}`, "")}${END}`,
  ],
  ["many parts", `${field("a", "b").repeat(21)}${END}`],
  ["a long preamble", `${"x".repeat(70_000)}\r\n${field("a", "b")}${END}`],
  ["a long epilogue", `${field("a", "b")}${END}${"x".repeat(70_000)}`],
])("a form with %s is refused", async ([, text]) => {
  await expect(read(text)).rejects.toMatchObject({ code: "invalid" });
});

test.for<[contentType: string, code: string]>([
  ["application/json", "unsupported_media_type"],
  ["", "unsupported_media_type"],
  ["application/x-www-form-urlencoded", "unsupported_media_type"],
  ["multipart/form-data", "invalid"],
  ["multipart/form-data; boundary=", "invalid"],
  ['multipart/form-data; boundary="a b "', "invalid"],
  [`multipart/form-data; boundary=${"a".repeat(71)}`, "invalid"],
  ["multipart/form-data; boundary=a; boundary=b", "invalid"],
  ["multipart/form-data; boundary=a\u00e4", "invalid"],
])("a body of type %j is refused as %s (R243)", async ([contentType, code]) => {
  await expect(read(`${field("a", "b")}${END}`, contentType)).rejects.toMatchObject({ code });
});

test("a boundary in quotes, another spelling of the headers, padding, a preamble and an epilogue are understood", async () => {
  const text =
    'before\r\n--a b  \t\r\ncontent-DISPOSITION:form-data ; filename="x; name=\\"evil\\"" ;name=file;\r\n\r\nbytes\r\n--a b--\r\nafter';
  expect(await read(text, 'Multipart/Form-Data; charset=utf-8; Boundary="a b"')).toEqual([
    { name: "file", filename: 'x; name="evil"', bytes: encode("bytes") },
  ]);
});

test("what the reader leaves is passed over, also when it breaks off in the middle", async () => {
  const form = formOf([
    { name: "a", bytes: encode("x".repeat(600_000)) },
    { name: "b", bytes: encode("y") },
  ]);
  const names: string[] = [];
  await readForm(requestOf(form), async (parts) => {
    for await (const { name } of parts) names.push(name);
  });
  expect(names).toEqual(["a", "b"]);
  const first = await readForm(requestOf(form), async (parts) => {
    for await (const one of parts) return one.name;
  });
  expect(first).toBe("a");
});

test("what is wrong with the form is told rather than what it made fail", async () => {
  const cut = encode(`${field("a", "b").slice(0, -2)}`);
  const reading = readForm(requestOf(cut), async (parts) => {
    for await (const { body } of parts) await bytesOf(body).catch(() => Promise.reject(new Error("upstream broke")));
  });
  await expect(reading).rejects.toEqual(new Fault("invalid", "the form ends too early"));
});

test("after a refusal the rest is read, so that the sender gets to the answer", async () => {
  let pulled = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (pulled++ === 0) controller.enqueue(encode(field("a", "b").slice(0, -2)));
      else if (pulled < 1000) controller.enqueue(new Uint8Array(1024));
      else controller.close();
    },
  });
  const request = requestOf(stream);
  const reading = readForm(request, async (parts) => {
    await parts.next();
    throw new Fault("too_large", "no");
  });
  await expect(reading).rejects.toMatchObject({ code: "too_large" });
  expect(pulled).toBe(1000);
});

test("a part is read as slowly as its reader wants it", async () => {
  let pulled = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulled++;
        if (pulled > 500) controller.close();
        else controller.enqueue(pulled === 1 ? encode(field("a", "b").slice(0, -2)) : new Uint8Array(BUFFER_BYTES));
      },
    },
    { highWaterMark: 0 },
  );
  const reading = readForm(requestOf(stream), async (parts) => {
    const { value } = await parts.next();
    const reader = value.body.getReader();
    for (let i = 0; i < 5; i++) await reader.read();
    await scheduler.wait(50);
    expect(pulled).toBeLessThanOrEqual(8);
    throw new Fault("conflict", "enough");
  });
  await expect(reading).rejects.toMatchObject({ code: "conflict" });
});

test("a field's text is of bounded length and well-formed", async () => {
  const text = (bytes: Uint8Array, limit: number) =>
    readForm(requestOf(formOf([{ name: "a", bytes }])), async (parts) => {
      for await (const one of parts) return readPartText(one, limit);
    });
  expect(await text(encode("ä/b"), 4)).toBe("ä/b");
  expect(await text(encode(""), 4)).toBe("");
  await expect(text(encode("ä/bc"), 4)).rejects.toMatchObject({ code: "invalid" });
  await expect(text(Uint8Array.of(0xff), 4)).rejects.toMatchObject({ code: "invalid" });
});

test("a hostile file costs time in proportion to its size", async () => {
  const delimiter = `\r\n--${BOUNDARY}`;
  const almost = encode(delimiter.slice(0, -1).repeat(40_000));
  for (const bytes of [almost, encode("\r".repeat(1_000_000))]) {
    const started = performance.now();
    const [file] = await readForm(requestOf(formOf([{ name: "file", bytes }])), readAll);
    expect(file?.bytes.length).toBe(bytes.length);
    expect(performance.now() - started).toBeLessThan(2_000);
  }
});
