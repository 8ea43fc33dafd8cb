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

/** A request whose body comes in pieces that end at the given places. */
function requestOf(
  body: Uint8Array,
  cuts: readonly number[] = [],
  contentType = `multipart/form-data; boundary=${BOUNDARY}`,
) {
  const ends = [...new Set(cuts.map((cut) => Math.min(cut, body.length)))].sort((a, b) => a - b);
  const pieces = [...ends, body.length].map((end, i) => body.subarray(i === 0 ? 0 : ends[i - 1], end));
  return { stream: () => ReadableStream.from(pieces.filter(({ length }) => length > 0)), header: () => contentType };
}

async function readAll(parts: AsyncIterable<Part>): Promise<Read[]> {
  const found: Read[] = [];
  for await (const { name, filename, body } of parts) found.push({ name, filename, bytes: await bytesOf(body) });
  return found;
}

const read = (text: string, contentType?: string) => readForm(requestOf(encode(text), [], contentType), readAll);
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

test("whatever the parts hold and wherever the network cuts them, they come out as they went in (R248)", async () => {
  const sent = fc.array(
    fc.record({
      name: fc.constantFrom("path", "file", "ä"),
      filename: fc.constantFrom("a;b.txt", "日本.txt", ""),
      bytes: content,
    }),
    { maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(sent, fc.array(fc.nat(600), { maxLength: 30 }), async (parts, cuts) => {
      expect(await readForm(requestOf(formOf(parts), cuts), readAll)).toEqual(parts);
    }),
  );
});

test("one cut at every single place changes nothing", async () => {
  const parts = [
    { name: "path", filename: undefined, bytes: encode("/a/b") },
    { name: "file", filename: "f", bytes: encode("he\r\nl\r\n--lo") },
  ];
  const form = formOf(parts as Sent[]);
  for (let cut = 1; cut < form.length; cut++) {
    expect(await readForm(requestOf(form, [cut]), readAll), `cut at ${cut}`).toEqual(parts);
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
    { name: "a", bytes: encode("x".repeat(50_000)) },
    { name: "b", bytes: encode("y") },
  ]);
  const names: string[] = [];
  await readForm(requestOf(form, [100, 20_000]), async (parts) => {
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
  const request = { stream: () => stream, header: () => `multipart/form-data; boundary=${BOUNDARY}` };
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
        controller.enqueue(pulled === 1 ? encode(field("a", "b").slice(0, -2)) : new Uint8Array(1024));
      },
    },
    { highWaterMark: 0 },
  );
  const request = { stream: () => stream, header: () => `multipart/form-data; boundary=${BOUNDARY}` };
  const reading = readForm(request, async (parts) => {
    const { value } = await parts.next();
    const reader = value.body.getReader();
    for (let i = 0; i < 5; i++) await reader.read();
    expect(pulled).toBeLessThanOrEqual(5);
    await new Promise((resolve) => setImmediate(resolve));
    expect(pulled).toBeLessThanOrEqual(5);
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
