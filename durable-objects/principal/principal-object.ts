import { DurableObject } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { type Actor, allows, type Permission } from "#domain/actor";
import type {
  Enrolment,
  IdempotencyAnswer,
  IdempotencyClaim,
  Limit,
  LimitState,
  ListedCredential,
  PrincipalHandle,
} from "#domain/principal/ports";
import { readActor } from "#domain/principal/read-actor";
import { ok, type Result, refuse } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { HOUR, SECOND } from "#kernel/time";
import { arm } from "#objects/kit/arm";
import { migrate } from "#objects/kit/migrate";
import { Claims } from "#objects/principal/claims";
import { type Credential, Credentials, listed } from "#objects/principal/credentials";
import { LastUse } from "#objects/principal/last-use";
import { Limits } from "#objects/principal/limits";

const MIGRATIONS = [
  "CREATE TABLE credentials (id TEXT PRIMARY KEY)", // replaced by the third step
  Claims.MIGRATION,
  Credentials.MIGRATION,
  Limits.MIGRATION,
];

/** A purge reads everything, so many things that grow old one after another must not cause one each. */
const PURGE_EVERY_MS = HOUR;
/** A change of the directory is over by then, whatever became of the one who makes it. */
const DISTRUST_MS = 10 * SECOND;
/** Streams that a change forbids end after this at the latest, also when nobody says that the change is done. */
const RECHECK_AFTER_MS = 3 * SECOND;
const RETRY_MS = 5 * SECOND;
/** Live credentials of one principal; a user with more sessions loses those not used for longest. */
const MAX_CREDENTIALS = 100;

const NOT_VALID = refuse("unauthenticated", "the credential is not valid");
/** Why a watching socket was closed. */
const CREDENTIAL_ENDED = 4001;

type Watch = { credentialId: string; teamId: string; permission: Permission };

/** One principal: which of its credentials are alive, its idempotency keys, and its rate limits. */
export class PrincipalObject extends DurableObject<Env> implements Omit<PrincipalHandle, "watch"> {
  readonly #credentials = new Credentials(this.ctx.storage.sql);
  readonly #claims = new Claims(this.ctx.storage.sql);
  readonly #limits = new Limits(this.ctx.storage.sql);
  readonly #lastUse = new LastUse(() => drizzle(this.env.DB));
  #open = false;

  async enrol(credential: Enrolment): Promise<void> {
    this.#prepare();
    this.#credentials.add(credential);
    if (this.#credentials.trim(credential.id, MAX_CREDENTIALS, Date.now())) await this.recheck();
    await this.#arm();
  }

  async replace(credentialId: string, by: Enrolment): Promise<boolean> {
    if (!this.#exists() || !this.#credentials.byId(credentialId, Date.now())) return false;
    this.#credentials.remove(credentialId);
    await this.enrol(by);
    await this.recheck();
    return true;
  }

  async verify(secretHash: string): Promise<Result<Actor>> {
    if (!this.#exists()) return NOT_VALID;
    const credential = this.#credentials.bySecret(secretHash, Date.now());
    if (!credential) return NOT_VALID;
    const actor = await this.#actorOf(credential);
    if (!actor) return NOT_VALID;
    this.#credentials.use(credential, Date.now());
    if (credential.grant.kind === "api_key") this.ctx.waitUntil(this.#lastUse.note(credential.grant.keyId, Date.now()));
    return ok(actor);
  }

  async list(): Promise<ListedCredential[]> {
    return this.#exists() ? this.#credentials.live(Date.now()).map(listed) : [];
  }

  async revoke(credentialId: string): Promise<void> {
    if (!this.#exists()) return;
    this.#credentials.remove(credentialId);
    await this.recheck();
  }

  async revokeAll(): Promise<void> {
    if (!this.#exists()) return;
    this.#credentials.removeAll();
    await this.recheck();
  }

  async distrust(): Promise<void> {
    if (!this.#exists()) return;
    const now = Date.now();
    this.#credentials.distrust(now + DISTRUST_MS, now + RECHECK_AFTER_MS);
    await this.#arm();
  }

  async recheck(): Promise<void> {
    if (!this.#exists()) return;
    this.#credentials.rechecked();
    for (const socket of this.ctx.getWebSockets()) {
      const watch = socket.deserializeAttachment() as Watch;
      if (!(await this.#mayWatch(watch))) socket.close(CREDENTIAL_ENDED, "the credential ended");
    }
  }

  /** Accepts a watching socket; everything else about this object is called by RPC. */
  override async fetch(request: Request): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const credentialId = query.get("credential") ?? "";
    const permission = query.get("permission") as Permission;
    const credential = this.#exists() ? this.#credentials.byId(credentialId, Date.now()) : undefined;
    const actor = credential && (await this.#actorOf(credential));
    // The team may have changed since the request was authenticated.
    const inTeam = actor?.teamId === (query.get("team") ?? actor?.teamId);
    if (!actor || !inTeam || !allows(actor, permission)) return new Response(null, { status: 401 });
    const { 0: client, 1: socket } = new WebSocketPair();
    this.ctx.acceptWebSocket(socket);
    socket.serializeAttachment({ credentialId, teamId: actor.teamId, permission } satisfies Watch);
    return new Response(null, { status: 101, webSocket: client });
  }

  async take(limits: readonly Limit[]): Promise<LimitState[]> {
    this.#prepare();
    const states = this.#limits.take(limits, Date.now());
    await this.#armPurge();
    return states;
  }

  async claim(key: string, fingerprint: string): Promise<Result<IdempotencyClaim>> {
    this.#prepare();
    const claim = this.#claims.claim(key, fingerprint, Date.now(), () => crypto.randomUUID().replaceAll("-", ""));
    if (claim.ok) await this.#armPurge();
    return claim;
  }

  async settle(key: string, answer: IdempotencyAnswer): Promise<void> {
    this.#prepare();
    this.#claims.settle(key, answer);
  }

  async release(key: string, effect: "none" | "unknown"): Promise<void> {
    this.#prepare();
    this.#claims.release(key, effect);
  }

  /** The platform stops calling after some failures, so nothing escapes and the alarm is always set again (R9). */
  override async alarm(): Promise<void> {
    try {
      this.#prepare();
      await this.recheck();
      await this.#arm();
      await this.#vanish();
    } catch (error) {
      createLog(this.env.LOG_LEVEL).error("principal alarm failed", { error });
      await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    }
  }

  /** Who acts by a live credential, as the directory has it, or had it when nothing has changed since. */
  async #actorOf(credential: Credential): Promise<Actor | undefined> {
    const readAt = Date.now();
    if (credential.actor && readAt >= this.#credentials.distrusted().until) return credential.actor;
    const actor = await readActor(drizzle(this.env.DB), credential);
    // Reading the directory takes a moment, in which the credential may have been revoked.
    const stillLive = this.#exists() && this.#credentials.bySecret(credential.secretHash, Date.now());
    if (!actor || !stillLive) return undefined;
    if (readAt >= this.#credentials.distrusted().until) this.#credentials.remember(credential.id, actor);
    return actor;
  }

  async #mayWatch({ credentialId, teamId, permission }: Watch): Promise<boolean> {
    const credential = this.#credentials.byId(credentialId, Date.now());
    const actor = credential && (await this.#actorOf(credential));
    return actor?.teamId === teamId && allows(actor, permission);
  }

  #prepare(): void {
    if (!this.#open) migrate(this.ctx.storage, MIGRATIONS);
    this.#open = true;
  }

  /** A guessed name is an object too; asking it must leave nothing stored. */
  #exists(): boolean {
    const known = () => this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'credentials'").toArray();
    if (!this.#open && known().length > 0) this.#prepare();
    return this.#open;
  }

  /** Sets the alarm for what is due next, and forgets what is too old to matter. */
  async #arm(): Promise<void> {
    const now = Date.now();
    const later = [this.#claims.purge(now), this.#limits.purge(now)].map(
      (at) => at && Math.max(at, now + PURGE_EVERY_MS),
    );
    arm(this.ctx, this.#credentials.purge(now), this.#credentials.distrusted().recheckAt, ...later);
  }

  /** An address that was counted once must not be kept for ever. */
  async #vanish(): Promise<void> {
    if (this.#credentials.count > 0 || this.#claims.count > 0 || this.#limits.count > 0) return;
    this.#open = false;
    await this.ctx.storage.deleteAll();
  }

  async #armPurge(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.#arm();
  }
}
