import { inject } from "vitest";
import type { Script } from "#test/node/model-script";

declare module "vitest" {
  interface ProvidedContext {
    modelServerUrl: string;
  }
}

/** The scripted model server as a test in workerd sees it. A script is picked by `script:NAME` in the user message. */
export const modelServer = {
  get url(): string {
    return inject("modelServerUrl");
  },
  script: (name: string, script: Script) => control("PUT", `scripts/${name}`, script),
  release: (gate: string) => control("POST", `gates/${gate}`),
  async waiting(gate: string): Promise<number> {
    return ((await control("GET", `gates/${gate}`)) as { waiting: number }).waiting;
  },
  /** A MODELS setting whose only model, `local`, is the scripted one. */
  setting(): string {
    const local = { provider: "openai-compatible", model: "scripted", url: this.url };
    return JSON.stringify({ models: { local } });
  },
};

async function control(method: string, path: string, body?: unknown): Promise<unknown> {
  const url = new URL(`/control/${path}`, modelServer.url);
  const response = await fetch(url, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`the model server answered ${response.status}`);
  return response.json();
}
