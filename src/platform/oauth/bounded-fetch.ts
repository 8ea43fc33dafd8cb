const MAX_BYTES = 256 * 1024;

type Options = { method: string; headers: Record<string, string>; body?: BodyInit | null | undefined };
export type BoundedFetch = (url: string, options: Options) => Promise<Response>;

/**
 * A fetch for endpoints that the operator has configured: it goes wherever they point, unlike one to an address that a
 * user gave. An answer is read at once, within `signal` and a size; redirects are not followed.
 */
export function boundedFetch(signal: AbortSignal): BoundedFetch {
  return async (url, { method, headers, body }) => {
    const response = await fetch(url, { method, headers, body: body ?? null, redirect: "manual", signal });
    const { status, headers: sent } = response;
    return new Response(await readBounded(response.body), { status, headers: sent });
  };
}

async function readBounded(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array | null> {
  if (!body) return null;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new RangeError("the answer is too large");
    chunks.push(chunk);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
