import { z } from "zod";
import type { Actor } from "#domain/actor";
import { getChunk } from "#domain/chunk/get-chunk";
import { listMissingChunks, putChunk } from "#domain/chunk/send-chunks";
import type { AuthRequest } from "#http/authenticate";
import { Empty, OCTETS, operation, RawAnswer, type RawRequest } from "#http/operation";
import type { BaseCtx, Surface } from "#http/surface";
import { FAULTS, Fault, unwrap } from "#kernel/fault";
import { CHUNKS_PATH, ChunkHash, MissingAnswer, MissingRequest } from "#protocol/chunks";

const tokenIn = (header: string | null | undefined): string =>
  /^Bearer ([\w.-]{1,4096})$/.exec(header ?? "")?.[1] ?? "";
const tokenOf = (raw: RawRequest) => tokenIn(raw.header("authorization"));

const about = { tag: "Chunks", path: `${CHUNKS_PATH}/{hash}`, params: z.object({ hash: ChunkHash }) } as const;

const operations = [
  operation({
    id: "listMissingChunks",
    method: "post",
    path: `${CHUNKS_PATH}/missing`,
    tag: "Chunks",
    summary: "Ask which chunks of an upload have to be sent",
    permission: "host:report",
    body: MissingRequest,
    returns: { status: 200, schema: MissingAnswer },
    faults: [],
    run: async (ctx, { body, raw }) => ({ missing: await listMissingChunks(ctx, tokenOf(raw), body.hashes) }),
  }),
  operation({
    ...about,
    id: "putChunk",
    method: "put",
    summary: "Store a chunk of an upload",
    permission: "host:report",
    octets: true,
    returns: { status: 204, schema: Empty },
    faults: ["invalid", "too_large"],
    run: async (ctx, { params, raw }) =>
      void (await putChunk(ctx, tokenOf(raw), { hash: params.hash, body: raw.stream() })),
  }),
  operation({
    ...about,
    id: "getChunk",
    method: "get",
    summary: "Read a chunk of a template, or its manifest",
    permission: "host:report",
    returns: { status: 200, schema: RawAnswer, media: OCTETS },
    faults: ["template_not_found"],
    run: async (ctx, { params, raw }) => {
      const { body, bytes } = await getChunk(ctx, tokenOf(raw), params.hash);
      return new Response(body, { headers: { "content-type": OCTETS, "content-length": String(bytes) } });
    },
  }),
];

/** The token of one transfer is the whole gate; whoever holds it is the host it was given to. */
async function authenticate(base: BaseCtx, { request }: AuthRequest): Promise<Actor> {
  const token = tokenIn(request.headers.get("authorization"));
  if (token === "") throw new Fault("unauthenticated", "the token of a transfer is required");
  const { hostId, teamId } = unwrap(await base.chunks.readToken(token));
  return {
    ...{ kind: "host", id: hostId, name: hostId, teamId, userId: null, role: null, platformAdmin: false },
    ...{ credentialId: null, principal: "", subject: `host:${hostId}` },
  } as Actor;
}

const FaultBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** How host agents send and fetch the files of templates; see `protocol/chunks`. */
export const chunkSurface: Surface = {
  name: "chunks",
  title: "Longshore chunks",
  description: "For host agents: the files of snapshots and templates, in chunks.",
  operations,
  faultBody: FaultBody,
  fault: (code, message) => ({ status: FAULTS[code].status, body: { error: { code, message } } }),
  authenticate,
  credentials: ["transfer"],
};
