import { z } from "zod";
import { Email } from "#domain/account/values";
import { systemActor } from "#domain/actor";
import { createHost } from "#domain/host/create-host";
import { listMails } from "#domain/mail/list-mails";
import { createOwner } from "#domain/setup/create-owner";
import type { AuthRequest } from "#http/authenticate";
import { operation } from "#http/operation";
import type { BaseCtx, Surface } from "#http/surface";
import { sameText, sha256 } from "#kernel/digest";
import { FAULTS, Fault } from "#kernel/fault";
import { iso } from "#kernel/time";

const Mail = z
  .object({
    id: z.string(),
    kind: z.string(),
    to: z.string(),
    subject: z.string(),
    text: z.string(),
    html: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: "Mail" });

const operations = [
  operation({
    id: "createOwner",
    method: "post",
    path: "/internal/v1/setup/owner",
    tag: "Set-up",
    summary: "Make the first user, their team and an API key",
    description: "Repeated for the same e-mail it issues another key; for another one it is refused.",
    permission: "platform:setup",
    body: z.object({ email: Email, teamName: z.string().trim().min(1).max(100).default("Home") }),
    returns: {
      status: 201,
      schema: z.object({ userId: z.string(), teamId: z.string(), apiKeyId: z.string(), apiKey: z.string() }),
    },
    faults: ["conflict", "route_not_found"],
    run: (ctx, { body }) => createOwner(ctx, body),
  }),
  operation({
    id: "inviteHost",
    method: "post",
    path: "/internal/v1/setup/hosts",
    tag: "Set-up",
    summary: "Add a host of the platform and get the token its agent registers with",
    permission: "platform:setup",
    body: z.object({ type: z.literal("regular").default("regular") }),
    returns: { status: 201, schema: z.object({ hostId: z.string(), registrationToken: z.string() }) },
    faults: ["route_not_found"],
    run: async (ctx, { body }) => {
      const { host, registrationToken } = await createHost(ctx, { type: body.type });
      return { hostId: host.id, registrationToken };
    },
  }),
  operation({
    id: "listMails",
    method: "get",
    path: "/internal/v1/setup/mails",
    tag: "Set-up",
    summary: "Read the letters that no mail service took, newest first",
    permission: "platform:setup",
    query: z.object({ to: Email.optional() }),
    returns: { status: 200, schema: z.object({ mails: z.array(Mail) }) },
    faults: ["route_not_found"],
    run: async (ctx, { query }) => {
      const mails = await listMails(ctx, query.to);
      return { mails: mails.map(({ createdAt, ...mail }) => ({ ...mail, createdAt: iso(createdAt) })) };
    },
  }),
];

/**
 * The set-up token is the whole gate, wherever the request comes from: 32 random bytes that exist while a deployment is
 * set up. Whoever fails here is told what an unknown route is told, so that nobody learns that the route exists.
 */
async function authenticate(base: BaseCtx, { request, settings }: AuthRequest) {
  const token = request.headers.get("x-setup-token");
  const known = settings.setupToken && token !== null && (await sameSecret(token, settings.setupToken));
  if (!known) throw new Fault("route_not_found", "no such route");
  base.log.info("set-up", { path: new URL(request.url).pathname });
  return systemActor("setup");
}

const sameSecret = async (a: string, b: string) => sameText(await sha256(a), await sha256(b));

const FaultBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** Set-up of a fresh deployment; closed unless `SETUP_TOKEN` is set. */
export const setupSurface: Surface = {
  name: "setup",
  title: "Longshore set-up",
  description: "For the scripts that set a deployment up. Answers to the set-up token only.",
  operations,
  faultBody: FaultBody,
  fault: (code, message) => ({ status: FAULTS[code].status, body: { error: { code, message } } }),
  authenticate,
  credentials: ["setup"],
};
