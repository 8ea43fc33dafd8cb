import type { z } from "zod";
import type { AuditAction } from "#domain/audit/audit";
import type { Ctx, Permission } from "#domain/context";
import type { CredentialKind } from "#http/credentials";
import { guarded } from "#http/guarded-stream";
import { type Operation, operation, RawAnswer, type RawRequest } from "#http/operation";
import { CLOSE, SocketPeer } from "#http/socket-peer";
import { Fault, type FaultCode } from "#kernel/fault";

/** A conversation over a socket. The socket is closed when it has ended, unless that has happened already. */
export type Talk = (peer: SocketPeer) => Promise<void>;

export type SocketSpec<P extends z.ZodObject> = {
  id: string;
  path: string;
  tag: string;
  summary: string;
  description: string;
  permission: Permission;
  accepts?: readonly CredentialKind[];
  audits?: AuditAction;
  params: P;
  faults: readonly FaultCode[];
  /** Finds out before the upgrade whether there is something to talk about; its refusals are answered in HTTP. */
  open: (ctx: Ctx, input: { params: z.output<P>; raw: RawRequest }) => Promise<Talk>;
};

/**
 * An operation that opens a WebSocket (101). Authentication happens on the request that asks for it; the socket is closed
 * within seconds of the credential's end (T7).
 */
export function socketOperation<P extends z.ZodObject>({ open, ...spec }: SocketSpec<P>): Operation {
  return operation({
    ...spec,
    method: "get",
    upgrades: true,
    returns: { status: 101, schema: RawAnswer, description: "The WebSocket is open" },
    run: async (ctx, { params, raw }) => {
      const talk = await open(ctx, { params: params as z.output<P>, raw });
      if (raw.header("upgrade")?.toLowerCase() !== "websocket") {
        throw new Fault("invalid", "this is a WebSocket; ask for an upgrade to it");
      }
      return upgraded(ctx, spec.permission, talk);
    },
  });
}

async function upgraded(ctx: Ctx, permission: Permission, talk: Talk): Promise<Response> {
  const { 0: client, 1: server } = new WebSocketPair();
  const peer = await guarded(ctx, permission, () => new SocketPeer(server));
  void hold(ctx, peer, talk);
  return new Response(null, { status: 101, webSocket: client });
}

async function hold(ctx: Ctx, peer: SocketPeer, talk: Talk): Promise<void> {
  try {
    await talk(peer);
    peer.close();
  } catch (error) {
    ctx.log.error("a conversation over a socket failed", { error });
    peer.close(CLOSE.failed);
  }
}
