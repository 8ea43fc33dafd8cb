import { waitUntil } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/d1";
import type { Ctx, Ports } from "#domain/context";
import { parseSandboxLimits } from "#domain/sandbox/limits";
import { newId } from "#kernel/id";
import { createLog } from "#kernel/log";
import { buildArchives } from "#platform/build/archives";
import { buildPort } from "#platform/build/port";
import { deliveryPort } from "#platform/channel/port";
import { chunkPort } from "#platform/chunks/port";
import { teamPort } from "#platform/event/port";
import { makeHostPort } from "#platform/host/port";
import { mailer } from "#platform/mail/mailer";
import { catalog } from "#platform/models/catalog";
import { oauthPort } from "#platform/oauth/port";
import { outbound } from "#platform/outbound/outbound";
import { makePasswords } from "#platform/passwords";
import { previewPort } from "#platform/preview/port";
import { principalPort } from "#platform/principal/port";
import { makeSandboxPort } from "#platform/sandbox/port";
import { secretBox } from "#platform/secret-box";
import { sessionPort } from "#platform/session/port";
import { usagePort } from "#platform/usage/port";

/** The ports of an environment. They are stateless wrappers of its bindings. */
const portsOf = (env: Env): Ports => ({
  sessions: sessionPort(env),
  sandboxes: makeSandboxPort(env),
  sandboxLimits: parseSandboxLimits(env),
  chunks: chunkPort(env),
  hosts: makeHostPort(env),
  principals: principalPort(env),
  teams: teamPort(env),
  usage: usagePort(env),
  models: catalog(env),
  secrets: secretBox(env),
  mailer: mailer(env),
  oauth: oauthPort(env),
  outbound: outbound(env),
  previews: previewPort(env),
  deliveries: deliveryPort(env),
  passwords: makePasswords(),
  builds: buildPort(env),
  archives: buildArchives(env),
});

/** What a request may use before it is known who asks: ports, directory, clock, ids, and a log that names the request. */
export function contextOf(env: Env, requestId: string): Omit<Ctx, "actor"> {
  const log = createLog(env.LOG_LEVEL, { requestId });
  return {
    ...portsOf(env),
    db: drizzle(env.DB),
    requestId,
    appUrl: (env.APP_URL ?? "").replace(/\/$/, ""),
    log,
    now: Date.now,
    newId: (kind) => newId(kind, Date.now()),
    defer: (work) => waitUntil(work().catch((error) => log.error("deferred work failed", { error }))),
  };
}
