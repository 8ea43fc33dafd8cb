import { z } from "zod";
import { searchUsers } from "#domain/user/search-users";
import { operation } from "#http/operation";
import { USER_LOOKUP } from "#surfaces/platform/values";

const UserSearchResult = z.object({ user_id: z.string(), email: z.string() }).meta({ id: "UserSearchResult" });

export const userOperations = [
  operation({
    id: "searchUsers",
    method: "get",
    path: "/v1/users/search",
    tag: "users",
    summary: "Search users by the beginning of their e-mail",
    description: "Answers at most ten. The prefix must contain `@` and have three characters.",
    permission: "account:read",
    limit: USER_LOOKUP,
    limitSubject: ({ actor }) => `user ${actor.id}`,
    query: z.object({ email: z.string().max(508) }),
    returns: { status: 200, schema: z.array(UserSearchResult) },
    faults: ["invalid", "unauthenticated", "rate_limited"],
    run: async (ctx, { query }) =>
      (await searchUsers(ctx, query.email)).map(({ id, email }) => ({ user_id: id, email })),
  }),
];
