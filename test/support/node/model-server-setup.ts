import type { TestProject } from "vitest/node";
import { ModelServer } from "./model-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Base URL of a scripted model server for tests that run in workerd; steered over HTTP. */
    modelServerUrl: string;
  }
}

/** Starts the server in Node, where it can listen, and stops it after the last test. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await ModelServer.start();
  project.provide("modelServerUrl", server.url);
  return () => server.close();
}
