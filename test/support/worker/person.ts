import { beginSession } from "#domain/account/begin-session";
import type { Role } from "#domain/actor";
import { systemActor } from "#domain/actor";
import { commit } from "#domain/context";
import { insertMembership, insertTeam, insertUser } from "#domain/principal/repo";
import { csrfTokenOf } from "#domain/principal/values";
import { newSlug } from "#domain/team/values";
import { newId } from "#kernel/id";
import { type Answer, call, contextFor } from "#test/worker/harness";

export type Person = Awaited<ReturnType<typeof person>>;
type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A browser with the cookies of a session. */
export async function browser(token: string) {
  const csrf = await csrfTokenOf(token);
  const cookie = `wrenn_sid=${token}; wrenn_csrf=${csrf}`;
  return {
    token,
    csrf,
    cookie,
    call: (method: Method, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
      call(method, path, { body, headers: { cookie, "x-csrf-token": csrf, ...headers } }),
  };
}

type Options = { role?: Role; teamId?: string; platformAdmin?: boolean; email?: string; passwordHash?: string };

/** An active user with a session, in a fresh team as its owner or, with `teamId`, in a team that exists. */
export async function person(options: Options = {}) {
  const { role = "owner", platformAdmin = false } = options;
  const now = Date.now();
  const userId = newId("user", now);
  const teamId = options.teamId ?? newId("team", now);
  const email = options.email ?? `${userId}@example.test`;
  const ctx = contextFor(systemActor("test", teamId));
  const times = { createdAt: now, updatedAt: now };
  const user = { id: userId, email, name: "Person", status: "active", isPlatformAdmin: platformAdmin } as const;
  await commit(
    ctx.db,
    insertUser(ctx.db, { ...user, passwordHash: options.passwordHash ?? null, ...times }),
    ...(options.teamId ? [] : [insertTeam(ctx.db, { id: teamId, name: "Team", slug: newSlug(), ...times })]),
    insertMembership(ctx.db, { teamId, userId, role, isDefault: true, createdAt: now }),
  );
  /** Another session of the same user, as on another device. */
  const login = async () =>
    browser(await beginSession(ctx, { userId, teamId, device: { userAgent: "test", address: "203.0.113.1" } }));
  return { userId, teamId, email, ctx, login, ...(await login()) };
}
