import { z } from "zod";
import { type ListedUser, listUsers } from "#domain/user/list-users";
import { setUserActive } from "#domain/user/set-user-active";
import { setUserAdmin } from "#domain/user/set-user-admin";
import { Empty, operation } from "#http/operation";
import { iso } from "#kernel/time";
import { answerPage, PageQuery, toPage } from "#surfaces/platform/numbered-page";

const AdminUserResource = z
  .object({
    id: z.string(),
    email: z.string(),
    name: z.string(),
    is_admin: z.boolean(),
    status: z.enum(["inactive", "active", "disabled", "deleted"]),
    created_at: z.iso.datetime(),
    teams_joined: z.int().describe("Teams the user is in, those they own included."),
    teams_owned: z.int(),
  })
  .meta({ id: "AdminUser" });

const UserParams = z.object({ id: z.string().max(100) });

const toAdminUser = ({ user, teamsJoined, teamsOwned }: ListedUser): z.input<typeof AdminUserResource> => ({
  id: user.id,
  email: user.email,
  name: user.name,
  is_admin: user.isPlatformAdmin,
  status: user.status,
  created_at: iso(user.createdAt),
  teams_joined: teamsJoined,
  teams_owned: teamsOwned,
});

export const adminUserOperations = [
  operation({
    id: "adminListUsers",
    method: "get",
    path: "/v1/admin/users",
    tag: "admin",
    summary: "List all users",
    description: "Oldest first, in numbered pages; the header `X-Total-Count` tells how many there are.",
    permission: "platform:admin",
    query: PageQuery,
    returns: { status: 200, schema: z.array(AdminUserResource) },
    faults: ["unauthenticated", "forbidden"],
    run: async (ctx, { query, outcome }) => answerPage(await listUsers(ctx, toPage(query)), outcome).map(toAdminUser),
  }),
  operation({
    id: "setUserAdmin",
    method: "put",
    path: "/v1/admin/users/{id}/admin",
    tag: "admin",
    summary: "Grant or revoke the administration of the platform",
    description: "It holds from the user's next request on. The last administrator stays one.",
    permission: "platform:admin",
    params: UserParams,
    body: z.object({ admin: z.boolean() }).meta({ id: "SetUserAdminRequest" }),
    returns: { status: 204, schema: Empty },
    faults: ["invalid", "last_platform_admin", "unauthenticated", "forbidden", "user_not_found"],
    run: async (ctx, { params, body }) => {
      await setUserAdmin(ctx, { ...params, ...body });
      return undefined;
    },
  }),
  operation({
    id: "adminSetUserActive",
    method: "put",
    path: "/v1/admin/users/{id}/active",
    tag: "admin",
    summary: "Activate or deactivate a user",
    description:
      "Deactivating ends the user's sessions, revokes the API keys they made, and destroys the sandboxes of the teams they own.",
    permission: "platform:admin",
    params: UserParams,
    body: z.object({ active: z.boolean() }).meta({ id: "SetUserActiveRequest" }),
    returns: { status: 204, schema: Empty },
    faults: ["invalid", "unauthenticated", "forbidden", "user_not_found"],
    run: async (ctx, { params, body }) => {
      await setUserActive(ctx, { ...params, ...body });
      return undefined;
    },
  }),
];
