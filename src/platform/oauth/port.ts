import type { OAuthPort } from "#domain/oauth/ports";
import { type GitHubSettings, gitHub } from "#platform/oauth/github";

type Settings = GitHubSettings & { OAUTH_REDIRECT_URL?: string };

export const oauthPort = (env: Settings): OAuthPort => ({
  provider: (name) => (name === "github" ? gitHub(env) : undefined),
  appUrl: env.OAUTH_REDIRECT_URL?.replace(/\/+$/, "") || undefined,
});
