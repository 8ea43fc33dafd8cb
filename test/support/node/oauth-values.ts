/** The client that the server knows. */
export const CLIENT = { id: "longshore-client", secret: "longshore-secret" };

/** The endpoints of the server that may fail. */
export type Where = "token" | "user" | "emails";
/** How an endpoint fails: a status, no JSON, JSON of another shape, a mebibyte, a redirect, or no answer at all. */
export type Failure = { at: Where; how: "500" | "text" | "shape" | "huge" | "redirect" | "silence" };

/** A user of the server. `fail` breaks an endpoint for them alone. */
export type OAuthPerson = {
  id: number;
  login: string;
  name?: string | null;
  emails: { email: string; primary: boolean; verified: boolean }[];
  fail?: Failure;
};
