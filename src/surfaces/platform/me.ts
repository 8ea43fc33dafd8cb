import { z } from "zod";
import { changePassword } from "#domain/account/change-password";
import { confirmPasswordReset } from "#domain/account/confirm-password-reset";
import { deleteAccount } from "#domain/account/delete-account";
import { type Account, getAccount } from "#domain/account/get-account";
import { renameAccount } from "#domain/account/rename-account";
import { requestPasswordReset } from "#domain/account/request-password-reset";
import { Email, LetterToken, NewPassword, Password, PersonName } from "#domain/account/values";
import type { Ctx } from "#domain/context";
import { clearSessionCookies } from "#http/cookies";
import { Empty, operation } from "#http/operation";
import { HOUR, MINUTE } from "#kernel/time";

/** The contract's four fields, and beyond them what a web app starts with. */
const MeResource = z
  .object({
    user_id: z.string(),
    name: z.string(),
    email: z.string().meta({ format: "email" }),
    has_password: z.boolean(),
    providers: z.array(z.string()),
    team_id: z.string().nullable(),
    role: z.string().nullable(),
    is_admin: z.boolean(),
  })
  .meta({ id: "MeResponse" });

const ChangePasswordBody = z
  .object({
    current_password: Password.optional(),
    new_password: NewPassword,
    confirm_password: Password.optional(),
  })
  .meta({ id: "ChangePasswordRequest" });

const toMe = ({ actor }: Ctx, { user, providers }: Account): z.input<typeof MeResource> => ({
  user_id: user.id,
  name: user.name,
  email: user.email,
  has_password: user.passwordHash !== null,
  providers,
  team_id: actor.teamId || null,
  role: actor.role,
  is_admin: user.isPlatformAdmin,
});

export const meOperations = [
  operation({
    id: "getMe",
    method: "get",
    path: "/v1/me",
    tag: "account",
    summary: "Get the user's own account",
    permission: "account:read",
    returns: { status: 200, schema: MeResource },
    faults: [],
    run: async (ctx) => toMe(ctx, await getAccount(ctx)),
  }),
  operation({
    id: "updateName",
    method: "patch",
    path: "/v1/me",
    tag: "account",
    summary: "Change what the user is called",
    permission: "account:write",
    audits: "user.renamed",
    body: z.object({ name: PersonName }),
    returns: { status: 204, schema: Empty },
    faults: [],
    run: async (ctx, { body }) => {
      await renameAccount(ctx, body.name);
      return undefined;
    },
  }),
  operation({
    id: "deleteAccount",
    method: "delete",
    path: "/v1/me",
    tag: "account",
    summary: "Delete the user's own account",
    description:
      "It is removed for good after 15 days. Refused while the user owns a team with other members, and to the last one " +
      "who administers the platform.",
    permission: "account:write",
    audits: "user.deleted",
    body: z.object({ confirmation: z.string().max(600).describe("The account's e-mail") }),
    returns: { status: 204, schema: Empty },
    faults: ["owns_team_with_members", "last_platform_admin"],
    run: async (ctx, { body, raw, outcome }) => {
      await deleteAccount(ctx, body.confirmation);
      clearSessionCookies(outcome.headers, raw.url);
      return undefined;
    },
  }),
  operation({
    id: "changePassword",
    method: "post",
    path: "/v1/me/password",
    tag: "account",
    summary: "Change the password, or add one",
    description: "Ends every session of the user, this one included.",
    permission: "account:write",
    audits: "user.password_changed",
    limit: {
      name: "change-password",
      perAddress: { quota: 60, windowMs: MINUTE },
      perSubject: { quota: 10, windowMs: 15 * MINUTE },
    },
    limitSubject: ({ actor }) => `user ${actor.id}`,
    body: ChangePasswordBody,
    returns: { status: 204, schema: Empty },
    faults: ["wrong_password"],
    run: async (ctx, { body, raw, outcome }) => {
      const { current_password: currentPassword, new_password: newPassword, confirm_password: confirmPassword } = body;
      await changePassword(ctx, { currentPassword, newPassword, confirmPassword });
      clearSessionCookies(outcome.headers, raw.url);
      return undefined;
    },
  }),
  operation({
    id: "requestPasswordReset",
    method: "post",
    path: "/v1/me/password/reset",
    tag: "account",
    summary: "Ask for a letter that resets the password",
    description: "Answers the same whether or not the account exists.",
    permission: null,
    discreet: true,
    limit: {
      name: "password-reset",
      perAddress: { quota: 10, windowMs: HOUR },
      perSubject: { quota: 3, windowMs: HOUR },
    },
    limitSubject: ({ body }) => `password-reset ${body.email}`,
    body: z.object({ email: Email }),
    returns: { status: 204, schema: Empty },
    faults: [],
    run: async (ctx, { body }) => {
      requestPasswordReset(ctx, body.email);
      return undefined;
    },
  }),
  operation({
    id: "confirmPasswordReset",
    method: "post",
    path: "/v1/me/password/reset/confirm",
    tag: "account",
    summary: "Set a new password with the secret of a letter",
    permission: null,
    limit: { name: "letter-token", perAddress: { quota: 20, windowMs: 10 * MINUTE } },
    body: z.object({ token: LetterToken, new_password: NewPassword }),
    returns: { status: 204, schema: Empty },
    faults: ["invalid_token"],
    run: async (ctx, { body }) => {
      await confirmPasswordReset(ctx, { token: body.token, password: body.new_password });
      return undefined;
    },
  }),
];
