import { DurableObject } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import { SYSTEM } from "#domain/event/actors";
import { type Credentials, invite, isLive, noCredentials, redeem, retire, rotate } from "#domain/host/credentials";
import {
  initialLiveness,
  type Liveness,
  type LivenessEffect,
  type LivenessEvent,
  silentAt,
  step,
} from "#domain/host/liveness";
import type { HostHandle, RefreshGrant } from "#domain/host/ports";
import { findHost, listSandboxesOn, updateHost } from "#domain/host/repo";
import { ok, type Result, refuse } from "#kernel/fault";
import { createLog } from "#kernel/log";
import { arm } from "#objects/kit/arm";
import { migrate } from "#objects/kit/migrate";
import { Outbox } from "#objects/kit/outbox";
import { recordChange } from "#objects/kit/record";

const MIGRATIONS = [
  `CREATE TABLE host (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, credentials TEXT NOT NULL,
    liveness TEXT NOT NULL)`,
  Outbox.MIGRATION,
];
const RETRY_MS = 5_000;
const NUDGES_AT_ONCE = 20;
const EVENTS = { "host.lost": "host.down", "host.returned": "host.up" } as const;

type Stored = { id: string; credentials: Credentials; liveness: Liveness };

/** Shell around one host's credentials and liveness. It holds no rules. */
export class HostObject extends DurableObject<Env> implements HostHandle {
  readonly #outbox = new Outbox<LivenessEffect>(this.ctx.storage, "host", (effect, seq) => this.#perform(effect, seq));
  #host: Stored | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, MIGRATIONS);
    this.#host = this.#read();
    this.#arm();
  }

  async invite({ hostId, ...invitation }: Parameters<HostHandle["invite"]>[0]): Promise<void> {
    const host = this.#host ?? { id: hostId, credentials: noCredentials, liveness: initialLiveness };
    this.#write({ ...host, credentials: invite(host.credentials, invitation) });
  }

  async redeem(tokenHash: string, next: RefreshGrant): Promise<Result<{ family: number }>> {
    const now = Date.now();
    const { state, answer } = redeem(this.#host?.credentials ?? noCredentials, tokenHash, next, now);
    if (!answer.ok || !this.#host) return answer;
    const { state: liveness } = step(this.#host.liveness, { type: "registered" }, now);
    this.#write({ ...this.#host, credentials: state, liveness });
    return answer;
  }

  async rotate(tokenHash: string, next: RefreshGrant): Promise<Result<{ family: number }>> {
    const { state, answer } = rotate(this.#host?.credentials ?? noCredentials, tokenHash, next, Date.now());
    if (this.#host && state !== this.#host.credentials) this.#write({ ...this.#host, credentials: state });
    return answer;
  }

  async retire(): Promise<void> {
    if (this.#host)
      this.#write({ ...this.#host, credentials: retire(this.#host.credentials), liveness: initialLiveness });
  }

  async verify(family: number): Promise<Result<null>> {
    if (this.#host?.credentials.retired) return refuse("host_not_found", "the host was deleted");
    if (this.#host && isLive(this.#host.credentials, family)) return ok(null);
    return refuse("unauthenticated", "the host token is not valid");
  }

  async beat(address?: string): Promise<Result<null>> {
    if (!this.#host || this.#host.liveness.status === "pending") return refuse("host_not_found", "no such host");
    this.#advance(this.#host, { type: "beat", address: address ?? null });
    return ok(null);
  }

  async nudge(): Promise<void> {
    if (this.#host) this.#advance(this.#host, { type: "tick" });
  }

  /** The platform stops calling after some failures, so nothing escapes and the alarm is always set again (R9). */
  override async alarm(): Promise<void> {
    try {
      if (this.#host) this.#advance(this.#host, { type: "tick" });
      await this.#outbox.drain();
      this.#arm();
    } catch (error) {
      createLog(this.env.LOG_LEVEL).error("host alarm failed", { hostId: this.#host?.id, error });
      await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
    }
  }

  #advance(host: Stored, event: LivenessEvent): void {
    const { state, effects } = step(host.liveness, event, Date.now());
    this.#write({ ...host, liveness: state }, effects);
    if (effects.length > 0) this.ctx.waitUntil(this.#outbox.drain().then(() => this.#arm()));
  }

  #write(host: Stored, effects: readonly LivenessEffect[] = []): void {
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.sql.exec(
        "INSERT OR REPLACE INTO host (one, id, credentials, liveness) VALUES (1, ?, ?, ?)",
        host.id,
        JSON.stringify(host.credentials),
        JSON.stringify(host.liveness),
      );
      this.#outbox.add(effects);
    });
    this.#host = host;
    this.#arm();
  }

  #read(): Stored | undefined {
    const [row] = this.ctx.storage.sql
      .exec<{ id: string; credentials: string; liveness: string }>("SELECT id, credentials, liveness FROM host")
      .toArray();
    return row && { id: row.id, credentials: JSON.parse(row.credentials), liveness: JSON.parse(row.liveness) };
  }

  #arm(): void {
    arm(this.ctx, this.#outbox.due(), this.#host ? silentAt(this.#host.liveness) : null);
  }

  async #perform(effect: LivenessEffect, seq: number): Promise<void> {
    const host = this.#host;
    if (!host) return;
    const db = drizzle(this.env.DB);
    switch (effect.type) {
      case "publish": {
        const { status, lastBeatAt, address } = host.liveness;
        const seen = { status, lastHeartbeatAt: lastBeatAt, updatedAt: Date.now(), ...(address && { address }) };
        return void (await updateHost(db, host.id, seen));
      }
      case "record": {
        const teamId = (await findHost(db, host.id))?.teamId ?? null;
        const { action, at } = effect;
        const resource = { id: host.id, type: "host" } as const;
        const event = { type: EVENTS[action], teamId, resource, actor: SYSTEM, metadata: {}, at };
        const self = { ctx: this.ctx, env: this.env };
        return recordChange(self, String(seq), { teamId, action, subjectId: host.id, at, event });
      }
      case "sweep":
        return this.#sweep(await listSandboxesOn(db, host.id, ["starting", "running", "stopping", "missing"]));
    }
  }

  async #sweep(sandboxIds: string[]): Promise<void> {
    for (let i = 0; i < sandboxIds.length; i += NUDGES_AT_ONCE) {
      const some = sandboxIds.slice(i, i + NUDGES_AT_ONCE);
      await Promise.allSettled(some.map((id) => this.env.SANDBOX.getByName(id).nudge()));
    }
  }
}
