import { type Api, api } from "#scripts/lib/api";
import { endsRun, readEvents, type StreamedEvent } from "#scripts/lib/read-events";
import { ModelServer } from "#test/node/model-server";
import { type Started, startedProduct } from "#test/node/started";

const SCRIPTED = "scripted";

/** The started product with a workspace, and with a scripted model beside or instead of the built-in one. */
export class ScriptedProduct {
  readonly product: Started;
  readonly model: ModelServer;
  /** Calls the API with the owner's key. */
  readonly call: Api;
  readonly workspaceId: string;

  constructor(product: Started, model: ModelServer, call: Api, workspaceId: string) {
    this.product = product;
    this.model = model;
    this.call = call;
    this.workspaceId = workspaceId;
  }

  static async start(name: string, defaultModel = SCRIPTED): Promise<ScriptedProduct> {
    const model = await ModelServer.start();
    const scripted = { provider: "openai-compatible", model: SCRIPTED, url: model.url };
    const models = { default: defaultModel, models: { [SCRIPTED]: scripted } };
    const product = await startedProduct({ MODELS: JSON.stringify(models) });
    const call = api(product.url, { "x-api-key": product.apiKey });
    const { id } = await call<{ id: string }>("POST", "/api/v1/workspaces", { name, runtime: "base" });
    return new ScriptedProduct(product, model, call, id);
  }

  /** Stops everything; answers the product's exit code. */
  async stop(): Promise<number | null> {
    const code = await this.product.stop();
    await this.model.close();
    return code;
  }

  /** A new session of the agent that has tools. */
  async session(body: Record<string, unknown> = {}): Promise<string> {
    const path = `/api/v1/workspaces/${this.workspaceId}/sessions`;
    return (await this.call<{ id: string }>("POST", path, { agentName: "builder", ...body })).id;
  }

  /** Sends a message and answers the id of its run. */
  async send(sessionId: string, content: string, more: Record<string, unknown> = {}): Promise<string> {
    const path = `/api/v1/sessions/${sessionId}/messages`;
    return (await this.call<{ runId: string }>("POST", path, { content, ...more })).runId;
  }

  /** Every event of a session up to the end of a run. */
  async eventsUntil(sessionId: string, runId: string): Promise<StreamedEvent[]> {
    const events: StreamedEvent[] = [];
    const { url, apiKey } = this.product;
    await readEvents({ url, apiKey, sessionId }, (event) => events.push(event), endsRun(runId));
    return events;
  }
}
