import { inject } from "vitest";
import type { Received, Reply } from "#test/node/receiver-values";

declare module "vitest" {
  interface ProvidedContext {
    receiverPort: number;
  }
}

let count = 0;

/** An inbox of the receiver of notifications as a test in workerd sees it. */
export function inbox(name = `inbox-${Date.now().toString(36)}-${++count}`) {
  const origin = `http://127.0.0.1:${inject("receiverPort")}`;
  const control = async <T = Received[]>(init?: RequestInit): Promise<T> =>
    (await fetch(`${origin}/control/${name}`, init)).json();
  return {
    url: `${origin}/${name}`,
    /** What came so far, oldest first. */
    received: () => control(),
    /** Of each request that came, whether both of its signatures are made with `secret`. */
    signed: (secret: string) => control<boolean[]>({ method: "POST", body: secret }),
    /** Answers in this order from now on; the last one is repeated. */
    reply: (...replies: Reply[]) => control({ method: "PUT", body: JSON.stringify(replies) }),
  };
}
