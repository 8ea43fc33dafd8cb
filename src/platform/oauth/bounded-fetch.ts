import { collectBytes } from "#kernel/bytes";

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
    return new Response(response.body && (await readBounded(response.body)), { status, headers: sent });
  };
}

async function readBounded(body: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await collectBytes(body, MAX_BYTES);
  if (!bytes) throw new RangeError("the answer is too large");
  return bytes;
}
