import type { TestProject } from "vitest/node";
import { OAuthServer } from "./oauth-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Base URL of an OAuth server for tests that run in workerd; steered over HTTP. */
    oauthServerUrl: string;
  }
}

/** Starts the server in Node, where it can listen, and stops it after the last test. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await OAuthServer.start(["http://longshore.test/auth/oauth/github/callback"]);
  project.provide("oauthServerUrl", server.url);
  return () => server.close();
}
