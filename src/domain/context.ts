import type { BatchItem } from "drizzle-orm/batch";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { Passwords } from "#domain/account/ports";
import type { Actor } from "#domain/actor";
import type { BuildArchives, BuildPort } from "#domain/build/ports";
import type { DeliveryPort } from "#domain/channel/ports";
import type { ChunkPort } from "#domain/chunk/ports";
import type { TeamPort } from "#domain/event/ports";
import type { HostPort } from "#domain/host/ports";
import type { Mailer } from "#domain/mail/ports";
import type { ModelCatalog } from "#domain/model/ports";
import type { OAuthPort } from "#domain/oauth/ports";
import type { Outbound } from "#domain/outbound/ports";
import type { PreviewPort } from "#domain/preview/ports";
import type { PrincipalPort } from "#domain/principal/ports";
import type { SandboxLimits } from "#domain/sandbox/limits";
import type { SandboxPort } from "#domain/sandbox/ports";
import type { SecretBox } from "#domain/secret/ports";
import type { SessionPort } from "#domain/session/ports";
import type { UsagePort } from "#domain/usage/ports";
import type { IdKind } from "#kernel/id";
import type { Log } from "#kernel/log";

export { type Actor, demand, type Permission } from "#domain/actor";

export type Db = DrizzleD1Database<Record<string, never>>;
/** A write that was built and not yet run. */
export type Statement = BatchItem<"sqlite">;

/** What the domain needs from the platform. Each port is implemented in `platform/`; tests may pass a fake. */
export type Ports = {
  sessions: SessionPort;
  sandboxes: SandboxPort;
  sandboxLimits: SandboxLimits;
  chunks: ChunkPort;
  hosts: HostPort;
  principals: PrincipalPort;
  teams: TeamPort;
  usage: UsagePort;
  models: ModelCatalog;
  secrets: SecretBox;
  mailer: Mailer;
  oauth: OAuthPort;
  outbound: Outbound;
  previews: PreviewPort;
  deliveries: DeliveryPort;
  passwords: Passwords;
  builds: BuildPort;
  archives: BuildArchives;
};

/** Everything a verb may use; built once per request, job or object call. Clock and ids come from here. */
export type Ctx = Ports & {
  actor: Actor;
  db: Db;
  requestId: string;
  /** Origin of the web app, to which letters link; empty when it is not known for sure. */
  appUrl: string;
  log: Log;
  now(): number;
  newId(kind: IdKind): string;
  /** Work that the answer does not wait for. What it throws is logged. */
  defer(work: () => Promise<unknown>): void;
};

/**
 * Writes a change with its audit and event rows in one atomic batch; D1 has no interactive transaction. Answers the rows
 * that the first statement returned: none for one without `returning`, or whose condition did not hold.
 */
export async function commit(db: Db, first: Statement, ...rest: Statement[]): Promise<unknown[]> {
  const [rows] = await db.batch([first, ...rest]);
  return Array.isArray(rows) ? rows : [];
}

/** The same context, writing its audit rows into the log of a team; an empty id means that of the platform alone. */
export const inTeam = (ctx: Ctx, teamId: string): Ctx => ({ ...ctx, actor: { ...ctx.actor, teamId } });
