import { chmodSync, chownSync, closeSync, constants, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "#kernel/log";
import type { NetworkPolicy } from "#protocol/host-agent";
import { createProxy } from "./proxy.ts";
import { RefusalLog } from "./refusal-log.ts";
import { Addresses } from "./resolve.ts";
import type { EgressSettings } from "./rules.ts";

/** What all sandboxes together may have open. */
const MAX_OPEN = 1024;

type Options = { folder: string; settings: EgressSettings; log: Log };
type OpenInput = { id: string; slot: number; user: number | undefined; policy: Exclude<NetworkPolicy, "off"> };

/**
 * One sandbox's way out: the socket of its proxy, which only its host user may open. `belongTo` tells whose it is once it
 * is no longer a spare one's.
 */
export type Gate = { path: string; belongTo: (sandboxId: string) => void; close: () => void };

/** The ways out of this machine's sandboxes. Each has a proxy of its own, and one without a policy has none at all. */
export class Egress {
  readonly #folder: string;
  readonly #descriptor: number;
  readonly #settings: EgressSettings;
  readonly #addresses: Addresses;
  readonly #log: Log;
  readonly #budget = { left: MAX_OPEN };

  /** Sockets that an earlier life of the agent left behind are removed. */
  constructor({ folder, settings, log }: Options) {
    this.#folder = folder;
    this.#settings = settings;
    this.#addresses = new Addresses(settings);
    this.#log = log;
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true });
    this.#descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  async open({ id, slot, user, policy }: OpenInput): Promise<Gate> {
    const path = join(this.#folder, String(slot));
    const refusals = new RefusalLog(this.#log, id);
    const { server, end } = createProxy({
      policy,
      ports: this.#settings.ports,
      addresses: this.#addresses,
      refusals,
      budget: this.#budget,
    });
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      // The name of a socket must be short, whatever the name of the folder is.
      server.once("error", reject).listen(`/proc/self/fd/${this.#descriptor}/${slot}`, resolve);
    });
    server.on("error", () => {});
    chmodSync(path, 0o600);
    if (user !== undefined) chownSync(path, user, user);
    return { path, belongTo: (sandboxId) => refusals.belongTo(sandboxId), close: end };
  }

  /** Once no sandbox runs any more. */
  close(): void {
    closeSync(this.#descriptor);
  }
}
