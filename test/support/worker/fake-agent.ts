import { env } from "cloudflare:workers";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { vi } from "vitest";
import { makeHostTokens } from "#platform/host/tokens";
import type { AgentErrorCode, AgentMetrics, AgentSandbox, MetricTier } from "#protocol/host-agent";
import type { SupervisorErrorCode } from "#protocol/supervisor";

type Seen = { method: string; path: string; act: unknown; generation: number; body: string };
type Inside = (request: Request, path: string) => Response | Promise<Response>;

const agents = new Map<string, FakeAgent>();
let ports = 20_000;

const refusal = (code: AgentErrorCode, status: number) => Response.json({ error: { code, message: code } }, { status });
export const supervisorRefusal = (code: SupervisorErrorCode) => Response.json({ code, message: code }, { status: 400 });

/** A host agent in the test's own isolate: leases, tokens and fencing are real, the inside of a sandbox is a function. */
export class FakeAgent {
  readonly hostId: string;
  readonly address: string;
  /** What the host tells who it is by. */
  token = "";
  readonly seen: Seen[] = [];
  readonly newest = new Map<string, number>();
  readonly running = new Map<string, number>();
  readonly wiped = new Set<string>();
  /** When false every connection breaks, as to a machine that is not there. */
  up = true;
  /** Refuses starts with this code. */
  refuseStart: AgentErrorCode | undefined;
  /** Sandboxes that stand still. */
  readonly frozen = new Set<string>();
  /** Refuses to freeze and to thaw with this code. */
  refuseHold: AgentErrorCode | undefined;
  /** Starts, freezing and thawing wait for this. */
  gate: Promise<void> = Promise.resolve();
  /** What its sandboxes may reach outside, as it tells. */
  network: AgentSandbox["network"] = "off";
  /** What was measured of every sandbox since it was started. */
  measured: AgentMetrics["tiers"] = {};
  /** Answers a snapshot by the token of its upload. */
  snapshot: (token: string, sandboxId: string) => Response | Promise<Response> = () => refusal("snapshot_failed", 503);
  inside: Inside = () => supervisorRefusal("internal");

  constructor(hostId: string) {
    this.hostId = hostId;
    this.address = `127.0.0.1:${ports++}`;
    agents.set(this.address, this);
  }

  /** How often something was asked: method and the rest of the path after the sandbox. */
  count(method: string, path = ""): number {
    return this.seen.filter((call) => call.method === method && call.path === path).length;
  }

  async answer(request: Request): Promise<Response> {
    if (!this.up) throw new TypeError("connection refused");
    const [, id = "", rest = ""] = /^\/v1\/sandboxes\/([^/]+)(.*)$/.exec(new URL(request.url).pathname) ?? [];
    const keys = { keys: await makeHostTokens(env).controlKeys() } as unknown as JSONWebKeySet;
    const token = request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
    const options = { algorithms: ["EdDSA"], issuer: "longshore", audience: this.hostId, subject: id };
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys), options);
    const generation = Number(payload.gen);
    const body = request.method === "PUT" || request.method === "POST" ? await request.clone().text() : "";
    this.seen.push({ method: request.method, path: rest, act: payload.act, generation, body });
    if (generation < (this.newest.get(id) ?? 0)) return refusal("stale_generation", 409);
    if (rest === "/metrics") return this.#metrics(request, id);
    if (rest === "/freeze" || rest === "/thaw") return this.#hold(id, generation, rest);
    if (rest === "/snapshot") return this.snapshot(JSON.parse(body).token as string, id);
    if (rest !== "") return this.#use(request, id, generation, rest);
    return this.#lifecycle(request, id, generation);
  }

  async #lifecycle(request: Request, id: string, generation: number): Promise<Response> {
    if (request.method === "PUT") {
      await this.gate;
      if (this.refuseStart) return refusal(this.refuseStart, 503);
      if (generation < (this.newest.get(id) ?? 0)) return refusal("stale_generation", 409);
      this.running.set(id, generation);
      this.frozen.delete(id);
    }
    if (request.method === "DELETE") {
      this.running.delete(id);
      if (new URL(request.url).searchParams.get("files") === "wipe") this.wiped.add(id);
    }
    if (request.method === "GET" && !this.newest.has(id)) return refusal("not_found", 404);
    this.newest.set(id, generation);
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    return this.#show(id, generation);
  }

  async #hold(id: string, generation: number, verb: "/freeze" | "/thaw"): Promise<Response> {
    await this.gate;
    if (this.refuseHold) return refusal(this.refuseHold, 503);
    if (this.running.get(id) !== generation) return refusal("sandbox_not_running", 409);
    if (verb === "/freeze") this.frozen.add(id);
    else this.frozen.delete(id);
    return this.#show(id, generation);
  }

  #show(id: string, generation: number): Response {
    const status = !this.running.has(id) ? "stopped" : this.frozen.has(id) ? "paused" : "running";
    const machine = { kernel: "6.1", agent: "0.1", supervisor: "0.2", isolation: "none" };
    return Response.json({ id, generation, status, bootMs: 1, unenforced: [], network: this.network, machine });
  }

  #metrics(request: Request, id: string): Response {
    if (!this.running.has(id)) return refusal("sandbox_not_running", 409);
    const tier = new URL(request.url).searchParams.get("tier") as MetricTier | "all";
    return Response.json({ tiers: tier === "all" ? this.measured : { [tier]: this.measured[tier] ?? [] } });
  }

  #use(request: Request, id: string, generation: number, rest: string): Response | Promise<Response> {
    if (this.running.get(id) !== generation) return refusal("sandbox_not_running", 409);
    if (this.frozen.has(id)) return refusal("sandbox_paused", 409);
    return this.inside(request, rest.replace("/supervisor/v1", ""));
  }
}

/** From here on the isolate's `fetch` reaches fake agents, and nothing else. */
export function serveFakeAgents(): void {
  vi.stubGlobal("fetch", async (input: RequestInfo, init?: RequestInit) => {
    const request = new Request(input, init);
    const agent = agents.get(new URL(request.url).host);
    if (!agent) throw new TypeError("connection refused");
    const aborted = new Promise<never>((_, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
    return Promise.race([agent.answer(request), aborted]);
  });
}
