import { z } from "zod";
import { activate } from "#domain/account/activate";
import { logIn } from "#domain/account/log-in";
import { logOut } from "#domain/account/log-out";
import { logOutEverywhere } from "#domain/account/log-out-everywhere";
import { signUp } from "#domain/account/sign-up";
import { switchTeam } from "#domain/account/switch-team";
import { Email, LetterToken, NewPassword, Password, PersonName } from "#domain/account/values";
import { clearSessionCookies } from "#http/cookies";
import { deviceOf } from "#http/device";
import { Empty, operation } from "#http/operation";
import { HOUR, MINUTE } from "#kernel/time";
import { answerSignedIn, SessionResource } from "#surfaces/platform/signed-in";

const SignupBody = z.object({ email: Email, password: NewPassword, name: PersonName }).meta({ id: "SignupRequest" });
const LoginBody = z.object({ email: Email, password: Password }).meta({ id: "LoginRequest" });
const SignupResource = z.object({ message: z.string() }).meta({ id: "SignupResponse" });

export const authOperations = [
  operation({
    id: "signup",
    method: "post",
    path: "/v1/auth/signup",
    tag: "auth",
    summary: "Make an account and send the letter that activates it",
    permission: null,
    limit: { name: "signup", perAddress: { quota: 10, windowMs: HOUR } },
    body: SignupBody,
    returns: { status: 201, schema: SignupResource },
    faults: ["email_taken", "signup_cooldown"],
    run: async (ctx, { body }) => {
      await signUp(ctx, body);
      return { message: "Account created. Use the link in the letter we sent within 30 minutes to activate it." };
    },
  }),
  operation({
    id: "activate",
    method: "post",
    path: "/v1/auth/activate",
    tag: "auth",
    summary: "Activate an account with the secret of its letter, and log in",
    permission: null,
    limit: { name: "letter-token", perAddress: { quota: 20, windowMs: 10 * MINUTE } },
    body: z.object({ token: LetterToken }),
    returns: { status: 200, schema: SessionResource },
    faults: ["invalid_token"],
    run: async (ctx, { body, ...rest }) =>
      answerSignedIn(await activate(ctx, { ...body, device: deviceOf(rest.raw) }), rest),
  }),
  operation({
    id: "login",
    method: "post",
    path: "/v1/auth/login",
    tag: "auth",
    summary: "Log in with e-mail and password",
    permission: null,
    limit: {
      name: "login",
      perAddress: { quota: 20, windowMs: MINUTE },
      perSubject: { quota: 10, windowMs: 15 * MINUTE },
    },
    limitSubject: ({ body }) => `login ${body.email}`,
    body: LoginBody,
    returns: { status: 200, schema: SessionResource },
    faults: ["unauthenticated", "account_not_activated", "account_disabled"],
    run: async (ctx, { body, ...rest }) =>
      answerSignedIn(await logIn(ctx, { ...body, device: deviceOf(rest.raw) }), rest),
  }),
  operation({
    id: "logout",
    method: "post",
    path: "/v1/auth/logout",
    tag: "auth",
    summary: "End this session",
    permission: "account:write",
    audits: "user.logged_out",
    returns: { status: 204, schema: Empty },
    faults: [],
    run: async (ctx, { raw, outcome }) => {
      await logOut(ctx);
      clearSessionCookies(outcome.headers, raw.url);
      return undefined;
    },
  }),
  operation({
    id: "logoutAll",
    method: "post",
    path: "/v1/auth/logout-all",
    tag: "auth",
    summary: "End all sessions of the user",
    permission: "account:write",
    audits: "user.logged_out_everywhere",
    returns: { status: 204, schema: Empty },
    faults: [],
    run: async (ctx, { raw, outcome }) => {
      await logOutEverywhere(ctx);
      clearSessionCookies(outcome.headers, raw.url);
      return undefined;
    },
  }),
  operation({
    id: "switchTeam",
    method: "post",
    path: "/v1/auth/switch-team",
    tag: "auth",
    summary: "Go on in another team, with a new session",
    permission: "account:write",
    audits: "user.team_switched",
    limit: {
      name: "switch-team",
      perAddress: { quota: 300, windowMs: MINUTE },
      perSubject: { quota: 30, windowMs: MINUTE },
    },
    limitSubject: ({ actor }) => `user ${actor.id}`,
    body: z.object({ team_id: z.string().min(1).max(100) }),
    returns: { status: 200, schema: SessionResource },
    faults: ["forbidden", "team_not_found"],
    run: async (ctx, { body, ...rest }) =>
      answerSignedIn(await switchTeam(ctx, { teamId: body.team_id, device: deviceOf(rest.raw) }), rest),
  }),
];
