import type { TestProject } from "vitest/node";
import { Receiver } from "./receiver.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Port on 127.0.0.1 of a receiver of notifications, for tests that run in workerd; steered over HTTP. */
    receiverPort: number;
  }
}

/** Starts the receiver in Node, where it can listen, and stops it after the last test. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const receiver = await Receiver.start();
  project.provide("receiverPort", receiver.port);
  return () => receiver.close();
}
