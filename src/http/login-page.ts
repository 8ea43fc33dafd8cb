import { html } from "hono/html";
import { LOGIN_ERRORS, type LoginError } from "#domain/oauth/values";
import { page } from "#http/docs";

const WORDS: Record<LoginError, string> = {
  access_denied: "The login was refused: by you, or because this account may not log in here.",
  invalid_state: "This login was begun in another browser, has taken too long, or was used before.",
  missing_code: "The provider sent you back without what the login needs.",
  exchange_failed: "The provider did not confirm the login.",
  email_taken: "This login or its e-mail belongs to another account. Log in to that one and link the provider there.",
  internal_error: "Something went wrong on our side.",
};

/** How a login at a provider ended, for deployments that have no web app which shows it (platform R84, R85). */
export function loginPage(error: string | undefined) {
  const known = LOGIN_ERRORS.find((one) => one === error);
  return error === undefined
    ? page("Logged in", html`<h1>Done</h1><p>This browser is logged in to Longshore. You may close the page.</p>`)
    : page("Not logged in", html`<h1>That did not work</h1><p>${WORDS[known ?? "internal_error"]}</p>`);
}
