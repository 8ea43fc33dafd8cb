import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import type { Role } from "#domain/actor";
import { systemActor } from "#domain/actor";
import { createHost } from "#domain/host/create-host";
import { registerHost } from "#domain/host/register-host";
import { commitIdentity } from "#domain/principal/commit-identity";
import { issueApiKey } from "#domain/principal/issue-api-key";
import { keyPrincipal } from "#domain/principal/values";
import { sha256 } from "#kernel/digest";
import { newId } from "#kernel/id";
import { hosts, memberships, teams, templates, users } from "#schema";
import { contextFor } from "#test/worker/harness";
import { type Person, person } from "#test/worker/person";

/** Kinds of things that a team has, or a person has in it. */
export const KINDS = [
  ...["team", "user", "login", "apiKey", "host", "channel", "template"],
  ...["workspace", "sandbox", "session", "message", "run"],
] as const;
export type Kind = (typeof KINDS)[number];

export const PRINCIPALS = [
  ...["none", "garbage session", "garbage key", "garbage host token", "expired session", "revoked session"],
  ...["revoked key", "two session cookies", "deactivated user", "host refresh token", "host token", "key"],
  ...["viewer", "member", "admin", "owner", "no csrf header", "foreign origin"],
  ...["other team's owner", "former member", "user of a deleted team", "platform admin"],
] as const;
export type Principal = (typeof PRINCIPALS)[number];

export type Headers = Record<string, string>;

const headersOf = ({ cookie, csrf }: Pick<Person, "cookie" | "csrf">): Headers => ({ cookie, "x-csrf-token": csrf });
const memo = <K, V>(make: (key: K) => Promise<V>) => {
  const made = new Map<K, Promise<V>>();
  return (key: K): Promise<V> => {
    const value = made.get(key) ?? make(key);
    made.set(key, value);
    return value;
  };
};

/** A team with one of everything, and callers of every kind. Things and callers are made when they are asked for. */
export class World {
  readonly owner: Person;
  readonly id = memo((kind: Kind) => this.#make(kind));
  readonly headers = memo((principal: Principal) => this.#headers(principal));
  readonly #key = memo(async (_: "key") => this.#newKey());
  readonly #host = memo(async (_: "host") => this.#newHost());

  private constructor(owner: Person) {
    this.owner = owner;
  }

  static async create(): Promise<World> {
    const owner = await person();
    await owner.ctx.db.update(teams).set({ isByoc: true }).where(eq(teams.id, owner.teamId));
    return new World(owner);
  }

  /** The ids of some kinds of things. */
  async ids(kinds: readonly Kind[]): Promise<Partial<Record<Kind, string>>> {
    const entries: [Kind, string][] = [];
    for (const kind of kinds) {
      const id = await this.id(kind);
      if (!id) throw new Error(`the seed made no ${kind}`);
      entries.push([kind, id]);
    }
    return Object.fromEntries(entries);
  }

  async #make(kind: Kind): Promise<string> {
    const { owner } = this;
    const api = async (path: string, body: unknown) => (await owner.call("POST", path, body)).body ?? {};
    switch (kind) {
      case "team":
        return owner.teamId;
      case "user":
        return (await person({ role: "member", teamId: owner.teamId })).userId;
      case "login":
        return sha256((await owner.login()).token);
      case "apiKey":
        return (await this.#key("key")).id;
      case "host":
        return (await this.#host("host")).host.id;
      case "channel": {
        const config = { url: "https://hooks.example.com/x" };
        const body = { name: newId("channel", Date.now()).slice(-8), provider: "webhook", config, events: ["host.up"] };
        return (await api("/v1/channels", body)).id;
      }
      case "template": {
        // The path names templates by their names.
        const name = newId("template", Date.now());
        const row = {
          id: name,
          name,
          teamId: owner.teamId,
          type: "snapshot",
          createdBy: owner.userId,
          createdAt: 1,
        } as const;
        await owner.ctx.db.insert(templates).values(row);
        return name;
      }
      case "workspace":
        return (await api("/api/v1/workspaces", { name: "seed", runtime: "base" })).id;
      case "sandbox":
        return (await owner.call("GET", `/api/v1/sandboxes/${await this.id("workspace")}`)).body.id;
      case "session":
        return (await api(`/api/v1/workspaces/${await this.id("workspace")}/sessions`, {})).id;
      case "message":
        return (await this.#sent("sent")).messageId;
      case "run":
        return (await this.#sent("sent")).runId;
    }
  }

  readonly #sent = memo(async (_: "sent") => {
    const path = `/api/v1/sessions/${await this.id("session")}/messages`;
    const { body } = await this.owner.call("POST", path, { content: "hello" });
    return body as { messageId: string; runId: string };
  });

  async #newKey() {
    const { ctx, userId, teamId } = this.owner;
    return issueApiKey(ctx, { teamId, userId, name: "seed" });
  }

  async #newHost() {
    const ctx = contextFor(systemActor());
    const { registrationToken } = await createHost(ctx, { type: "byoc", teamId: this.owner.teamId });
    const session = await registerHost(ctx, { token: registrationToken, address: "agent.example.com:443" });
    // Nobody answers there, so nothing shall be placed on it.
    await ctx.db.update(hosts).set({ status: "offline" }).where(eq(hosts.id, session.host.id));
    return session;
  }

  async #headers(principal: Principal): Promise<Headers> {
    const { owner } = this;
    const inTeam = async (role: Role) => person({ role, teamId: owner.teamId });
    switch (principal) {
      case "none":
        return {};
      case "garbage session":
        return { cookie: `wrenn_sid=${owner.token.slice(0, -3)}AAA; wrenn_csrf=x`, "x-csrf-token": "x" };
      case "garbage key":
        return { "x-api-key": `wrn_${"0".repeat(32)}` };
      case "garbage host token":
        return { "x-host-token": "a.b.c" };
      case "expired session":
        return headersOf(await expired(await inTeam("owner")));
      case "revoked session":
        return headersOf(await revoked(await inTeam("owner")));
      case "revoked key":
        return { "x-api-key": await this.#revokedKey() };
      case "two session cookies":
        return { ...headersOf(owner), cookie: `${owner.cookie}; wrenn_sid=${owner.token}` };
      case "deactivated user":
        return headersOf(await changed(await inTeam("owner"), "disabled"));
      case "host refresh token":
        return { "x-host-token": (await this.#host("host")).refreshToken };
      case "host token":
        return { "x-host-token": (await this.#host("host")).token };
      case "key":
        return { "x-api-key": (await this.#key("key")).key };
      case "owner":
        return headersOf(owner);
      case "viewer":
      case "member":
      case "admin":
        return headersOf(await inTeam(principal));
      case "no csrf header":
        return { cookie: owner.cookie };
      case "foreign origin":
        return { ...headersOf(owner), origin: "https://evil.example" };
      case "other team's owner":
        return headersOf(await person());
      case "former member":
        return headersOf(await changed(await inTeam("admin"), "gone"));
      case "user of a deleted team":
        return headersOf(await changed(await person(), "team deleted"));
      case "platform admin":
        return headersOf(await person({ platformAdmin: true }));
    }
  }

  async #revokedKey(): Promise<string> {
    const { key, id } = await this.#newKey();
    await this.owner.ctx.principals.principal(keyPrincipal(await sha256(key))).revoke(id);
    return key;
  }
}

async function expired(p: Person): Promise<Person> {
  await runInDurableObject(env.PRINCIPAL.getByName(p.userId), (_, { storage }) => {
    storage.sql.exec("UPDATE credentials SET expires_at = 1").toArray();
  });
  return p;
}

async function revoked(p: Person): Promise<Person> {
  await p.ctx.principals.principal(p.userId).revokeAll();
  return p;
}

/** Somebody who was a member until the directory changed. */
async function changed(p: Person, how: "disabled" | "gone" | "team deleted"): Promise<Person> {
  const { db } = p.ctx;
  const change = {
    disabled: db.update(users).set({ status: "disabled" }).where(eq(users.id, p.userId)),
    gone: db.delete(memberships).where(eq(memberships.userId, p.userId)),
    "team deleted": db.update(teams).set({ deletedAt: Date.now() }).where(eq(teams.id, p.teamId)),
  }[how];
  await commitIdentity(p.ctx, [p.userId], change);
  return p;
}

/** An id of the right form that names nothing. */
export function missingId(kind: Kind): string {
  const session = newId("session", Date.now()).slice("ses_".length);
  if (kind === "message") return `msg_${session}_1`;
  if (kind === "run") return `run_${session}_1`;
  if (kind === "login") return "0".repeat(64);
  return newId(kind, Date.now());
}

let callers = 0;

/** An address that no other request of the file comes from, so that none uses up another's limits. */
export function nextAddress(): string {
  callers += 1;
  return `10.${(callers >> 16) & 255}.${(callers >> 8) & 255}.${callers & 255}`;
}
