import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import type { Log } from "#kernel/log";
import { SECOND } from "#kernel/time";
import type { StateFolder } from "./state.ts";

const Keys = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) });
const TokenPair = z.object({ token: z.string().min(1), refresh_token: z.string().min(1) });
const Registered = TokenPair.extend({ host: z.object({ id: z.string().min(1) }), control_keys: Keys });
const Refreshed = TokenPair.extend({ control_keys: Keys.optional() });

const Credentials = z.object({
  control: z.string(),
  hostId: z.string(),
  token: z.string(),
  refreshToken: z.string(),
  keys: Keys,
  registrationHash: z.string(),
});
type Credentials = z.infer<typeof Credentials>;

/** What this machine says of itself when it registers. */
export type HostFacts = {
  address: string;
  arch: string;
  cpu_cores: number;
  memory_mb: number;
  disk_gb: number;
  capabilities: Record<string, unknown>;
};

/** The control plane does not want this host any more; its message is for the person who runs it. */
export class Dismissed extends Error {}

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30 * SECOND;
const TIMEOUT_MS = 15 * SECOND;
const TELLS = 4;
const FILE = "credentials";

/** The lease a sandbox had, and what became of it, by the names of the contract. */
type SandboxTale = { event: string; id: string; generation: number; error?: string };

type Options = { url: string; state: StateFolder; log: Log };

/** A control plane on this machine is the same one when it comes back on another port. */
function isSamePlane(known: string, url: string): boolean {
  const isLoopback = (address: string) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(address).hostname);
  return known === url || (isLoopback(known) && isLoopback(url));
}

/** The agent's side of the control plane: registration, signs of life and fresh credentials. */
export class ControlPlane {
  readonly #url: string;
  readonly #state: StateFolder;
  readonly #log: Log;
  #credentials: Credentials | undefined;
  /** Told with every sign of life, because a restarted agent may listen elsewhere. */
  #address: string | undefined;

  constructor({ url, state, log }: Options) {
    this.#url = url;
    this.#state = state;
    this.#log = log;
    const stored = Credentials.safeParse(state.read(FILE));
    if (stored.success && isSamePlane(stored.data.control, url)) this.#credentials = { ...stored.data, control: url };
  }

  /** This host's id and the keys that sign calls to it; undefined before registration. */
  get identity(): { hostId: string; keys: JSONWebKeySet } | undefined {
    return this.#credentials && { hostId: this.#credentials.hostId, keys: this.#credentials.keys as JSONWebKeySet };
  }

  /**
   * Registers unless this host is known already, then gives the first sign of life. Waits as long as it takes for the
   * control plane to be there; a refusal is `Dismissed`.
   */
  async join(token: string | undefined, facts: HostFacts, signal: AbortSignal): Promise<string> {
    this.#address = facts.address;
    const hash = token === undefined ? undefined : createHash("sha256").update(token).digest("hex");
    const known = this.#credentials;
    const isKnown = known !== undefined && (hash === undefined || hash === known.registrationHash);
    if (!isKnown && (token === undefined || hash === undefined)) {
      throw new Dismissed("this host is not registered yet: pass the registration token with --token");
    }
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LONGEST_RETRY_MS)) {
      try {
        if (isKnown) await this.beat();
        else await this.#register(token ?? "", hash ?? "", facts);
        return this.#credentials?.hostId ?? "";
      } catch (error) {
        if (error instanceof Dismissed) throw error;
        this.#log.info("the control plane is not there yet", { error });
        await sleep(wait, undefined, { signal });
      }
    }
  }

  /** Gives a sign of life; stale credentials are renewed. */
  async beat(): Promise<void> {
    const status = await this.#heartbeat();
    if (status === 401 || status === 403) {
      await this.#refresh();
      const again = await this.#heartbeat();
      if (again >= 400) throw new Error(`heartbeat answered ${again} with fresh credentials`);
    } else if (status === 404) {
      this.#forget("the control plane does not know this host any more; create it anew and pass its token");
    } else if (status >= 400) {
      throw new Error(`heartbeat answered ${status}`);
    }
  }

  /**
   * Tells what became of a sandbox by itself. Given up after a few attempts: a control plane that is away asks when it is
   * back.
   */
  async tell({ event, id, generation, error }: SandboxTale): Promise<void> {
    for (let attempt = 1; attempt <= TELLS; attempt++) {
      try {
        const { hostId: host_id = "", token = "" } = this.#credentials ?? {};
        const body = { event, sandbox_id: id, host_id, timestamp: Math.floor(Date.now() / SECOND), generation, error };
        const response = await this.#post("/v1/hosts/sandbox-events", body, { "x-host-token": token });
        await response.body?.cancel();
        // Credentials are renewed by the next heartbeat.
        if (response.status < 500 && response.status !== 401) return;
      } catch (failure) {
        this.#log.info("the control plane was not told of a sandbox", { sandbox: id, error: failure });
      }
      await sleep(FIRST_RETRY_MS * 4 ** attempt, undefined, { ref: false });
    }
  }

  async #heartbeat(): Promise<number> {
    const { hostId = "", token = "" } = this.#credentials ?? {};
    const path = `/v1/hosts/${encodeURIComponent(hostId)}/heartbeat`;
    const moved = this.#address !== undefined && { "x-host-address": this.#address };
    const response = await this.#post(path, undefined, { "x-host-token": token, ...moved });
    await response.body?.cancel();
    return response.status;
  }

  async #register(token: string, registrationHash: string, facts: HostFacts): Promise<void> {
    const response = await this.#post("/v1/hosts/register", { token, ...facts });
    if (response.status === 400 || response.status === 401) {
      throw new Dismissed(`the control plane refused the registration: ${(await response.text()).slice(0, 500)}`);
    }
    if (!response.ok) throw new Error(`registration answered ${response.status}`);
    const { host, control_keys, ...pair } = Registered.parse(await response.json());
    this.#keep({
      ...{ control: this.#url, hostId: host.id, registrationHash, keys: control_keys },
      ...{ token: pair.token, refreshToken: pair.refresh_token },
    });
  }

  async #refresh(): Promise<void> {
    const current = this.#credentials;
    if (!current) return;
    const response = await this.#post("/v1/hosts/auth/refresh", { refresh_token: current.refreshToken });
    if ([400, 401, 403, 404].includes(response.status)) {
      this.#forget("the control plane refused this host's credentials; create a new host and pass its token");
    }
    if (!response.ok) throw new Error(`refreshing the credentials answered ${response.status}`);
    const { token, refresh_token, control_keys } = Refreshed.parse(await response.json());
    this.#keep({ ...current, token, refreshToken: refresh_token, keys: control_keys ?? current.keys });
  }

  #post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.#url}${path}`, {
      method: "POST",
      headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
      body: body === undefined ? null : JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  }

  #keep(credentials: Credentials): void {
    this.#state.write(FILE, credentials);
    this.#credentials = credentials;
  }

  #forget(why: string): never {
    this.#state.remove(FILE);
    this.#credentials = undefined;
    throw new Dismissed(why);
  }
}
