/** Who a provider says somebody is. */
export type OAuthIdentity = {
  /** What names the person at the provider for ever; login names and e-mails change. */
  subject: string;
  name: string;
  /** The primary e-mail in the form in which accounts keep theirs; null unless the provider has verified it. */
  email: string | null;
};

/** Where a browser is sent, and what must be known again when it comes back. */
export type Authorization = { authUrl: string; state: string; verifier: string };

/** `reason` says for the log what went wrong, without anything that the provider sent. */
export type Identified = { ok: true; identity: OAuthIdentity } | { ok: false; reason: string };

/** Logging in at somebody else's service: an authorization code, bound to its asker by state and PKCE. */
export interface OAuthProvider {
  authorize(redirectUri: string): Promise<Authorization>;
  /** Exchanges a code for a person. Never throws for what the provider does. */
  identify(answer: { code: string; state: string; verifier: string; redirectUri: string }): Promise<Identified>;
}

export interface OAuthPort {
  /** The provider of that name, or undefined when there is none or the deployment has no client there. */
  provider(name: string): OAuthProvider | undefined;
  /** The web app that shows how a login ended, without a slash at its end; undefined for this deployment itself. */
  appUrl: string | undefined;
}
