import { type Ctx, demand, type Permission } from "#domain/context";
import { type SseStream, sseResponse } from "#http/sse";
import { Fault } from "#kernel/fault";
import { SECOND } from "#kernel/time";

/** What the socket of a credential is closed with when the credential ended or lost the permission. */
const CREDENTIAL_ENDED = 4001;
const MAX_RECONNECTS = 6;
const FIRST_PAUSE_MS = 50;
/** A socket that held for this long broke by itself, and not because of what broke the one before. */
const STEADY_MS = 10 * SECOND;
const ENDED = "the credential ended";
const UNKNOWN = "the credential could not be checked, resume from the last id";

/** What lasts longer than its request: `end` ends it with a word for the reader, `done` resolves when it has ended. */
type Lasting = { readonly done: Promise<void>; end(why: string): void };

/** Opens a stream of events under guard. */
export async function guardedStream(
  ctx: Ctx,
  permission: Permission,
  open: () => Promise<SseStream>,
): Promise<Response> {
  return sseResponse(await guarded(ctx, permission, open));
}

/**
 * Opens a stream or a socket for as long as the caller's credential holds `permission`: it ends within seconds of the
 * credential (T7). Every one is opened through here. While nothing happens this costs no object anything.
 */
export async function guarded<T extends Lasting>(
  ctx: Ctx,
  permission: Permission,
  open: () => T | Promise<T>,
): Promise<T> {
  demand(ctx.actor, permission);
  const guard = new CredentialGuard(ctx, permission);
  await guard.connect();
  try {
    const stream = await open();
    guard.begin(stream);
    return stream;
  } catch (error) {
    guard.stop();
    throw error;
  }
}

/** A watch on one credential. It ends the stream also when it cannot find out whether the credential still holds. */
class CredentialGuard {
  readonly #ctx: Ctx;
  readonly #permission: Permission;
  #stream: Lasting | undefined;
  #socket: WebSocket | undefined;
  /** Why the watch is over, in words for the reader. */
  #over: string | undefined;
  #failures = 0;
  #connectedAt = 0;

  constructor(ctx: Ctx, permission: Permission) {
    this.#ctx = ctx;
    this.#permission = permission;
  }

  /** Throws `unauthenticated` for a credential that is no longer live. */
  async connect(): Promise<void> {
    const { principals, actor } = this.#ctx;
    if (actor.credentialId === null) throw new Fault("forbidden", "the credential cannot open a stream");
    const watched = principals.principal(actor.principal).watch(actor.credentialId, this.#permission, actor.teamId);
    const { webSocket: socket, status } = await watched;
    if (status === 401) throw new Fault("unauthenticated", "the credential is not valid");
    if (!socket) throw new Fault("unavailable", `the credential could not be watched: ${status}`);
    this.#socket = socket;
    this.#connectedAt = this.#ctx.now();
    const onlyOnce = { once: true };
    socket.addEventListener("close", ({ code }) => this.#closed(socket, code), onlyOnce);
    socket.addEventListener("error", () => this.#closed(socket, 1006), onlyOnce);
    socket.accept();
    if (this.#over) socket.close(1000, "the stream is over");
  }

  begin(stream: Lasting): void {
    this.#stream = stream;
    stream.done.then(() => this.stop());
    if (this.#over) stream.end(this.#over);
  }

  stop(): void {
    this.#over ??= "the stream is over";
    this.#socket?.close(1000, "the stream is over");
    this.#socket = undefined;
  }

  #closed(socket: WebSocket, code: number): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    if (this.#ctx.now() - this.#connectedAt > STEADY_MS) this.#failures = 0;
    if (code === CREDENTIAL_ENDED) this.#end(ENDED);
    else this.#reconnect().catch(() => this.#end(UNKNOWN));
  }

  /** Opens a socket that broke, as on a deploy, anew. */
  async #reconnect(): Promise<void> {
    while (!this.#over) {
      if (++this.#failures > MAX_RECONNECTS) return this.#end(UNKNOWN);
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (this.#failures - 1)));
      try {
        return await this.connect();
      } catch (error) {
        if (error instanceof Fault && error.code === "unauthenticated") return this.#end(ENDED);
      }
    }
  }

  #end(why: string): void {
    this.#over = why;
    this.#stream?.end(why);
  }
}
