import { objectName } from "#domain/chunk/values";
import { hex } from "#kernel/digest";
import type { Manifest } from "#protocol/chunks";
import { type Answer, call } from "#test/worker/harness";

export type Chunk = { hash: string; plain: Uint8Array; gzip: Uint8Array };

const through = async (bytes: Uint8Array, stream: CompressionStream | DecompressionStream): Promise<Uint8Array> =>
  new Uint8Array(await new Response(new Response(bytes).body?.pipeThrough(stream)).arrayBuffer());

export const gunzip = (bytes: Uint8Array) => through(bytes, new DecompressionStream("gzip"));

export async function chunkOf(content: string | Uint8Array): Promise<Chunk> {
  const plain = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const hash = hex(await crypto.subtle.digest("SHA-256", plain));
  return { hash, plain, gzip: await through(plain, new CompressionStream("gzip")) };
}

/** The manifest of an archive of these chunks, as a chunk. */
export function manifestOf(chunks: readonly Chunk[]): Promise<Chunk> {
  const manifest: Manifest = {
    ...{ v: 1, format: "tar", entries: chunks.length },
    bytes: chunks.reduce((sum, { plain }) => sum + plain.byteLength, 0),
    chunks: chunks.map(({ hash, plain }) => ({ hash, bytes: plain.byteLength })),
  };
  return chunkOf(JSON.stringify(manifest));
}

const auth = (token: string) => ({ authorization: `Bearer ${token}` });

export const askMissing = (token: string, hashes: string[]): Promise<Answer> =>
  call("POST", "/internal/v1/chunks/missing", { body: { hashes }, headers: auth(token) });

export const putChunk = (token: string, hash: string, gzip: Uint8Array): Promise<Answer> =>
  call("PUT", `/internal/v1/chunks/${hash}`, {
    body: gzip,
    headers: { ...auth(token), "content-type": "application/octet-stream" },
  });

export const getChunk = (token: string, hash: string): Promise<Answer> =>
  call("GET", `/internal/v1/chunks/${hash}`, { headers: auth(token) });

/** Sends what has to be sent of an archive, as a host's agent does; answers its manifest's hash and what was sent. */
export async function sendArchive(token: string, contents: readonly string[]) {
  const chunks = await Promise.all(contents.map(chunkOf));
  const manifest = await manifestOf(chunks);
  const sent: string[] = [];
  for (const some of [chunks, [manifest]]) {
    const { body } = await askMissing(
      token,
      some.map(({ hash }) => hash),
    );
    for (const { hash, gzip } of some) {
      if (!body.missing.includes(hash) || sent.includes(hash)) continue;
      const answer = await putChunk(token, hash, gzip);
      if (answer.status !== 204) throw new Error(`${answer.status} ${answer.text}`);
      sent.push(hash);
    }
  }
  return { root: manifest.hash, chunks, sent };
}

/** Names of the objects a team has in R2. */
export async function objectsOf(files: R2Bucket, teamId: string): Promise<string[]> {
  const prefix = objectName(teamId, "", "").replace(/\/+$/, "/");
  return (await files.list({ prefix })).objects.map(({ key }) => key);
}
