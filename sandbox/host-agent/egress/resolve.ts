import { Resolver } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { isPublicAddress } from "#kernel/public-address";
import { SECOND } from "#kernel/time";
import { EgressRefusal, type EgressSettings, type Target } from "./rules.ts";

/** An address that was checked, in the form in which connections are made. */
export type Checked = { address: string; family: 4 | 6 };

const LOOKUP = { timeout: 2 * SECOND, tries: 2 };
const MOST = 8;

/** Turns targets into addresses that a sandbox may reach: public ones, and none of this machine's own. */
export class Addresses {
  readonly #settings: EgressSettings;
  readonly #resolver = new Resolver(LOOKUP);

  constructor(settings: EgressSettings) {
    this.#settings = settings;
    if (settings.dns.length > 0) this.#resolver.setServers(settings.dns);
  }

  /** The addresses of a target; it is these, and no later answer of a name server, that may be connected to. */
  async find({ host, port }: Target): Promise<Checked[]> {
    const literal = host.replace(/^\[(.*)\]$/, "$1");
    const found = ipaddr.isValid(literal) ? [checked(literal)] : await this.#resolve(host);
    if (this.#settings.allow.has(`${host}:${port}`)) return found;
    const own = ownAddresses();
    const open = found.filter(({ address }) => isPublicAddress(address) && !own.has(address));
    if (open.length === 0)
      throw new EgressRefusal(403, `this sandbox may not reach ${host}: its address is not public`);
    return open;
  }

  async #resolve(host: string): Promise<Checked[]> {
    const [v4, v6] = await Promise.allSettled([this.#resolver.resolve4(host), this.#resolver.resolve6(host)]);
    const found = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (found.length === 0) throw new EgressRefusal(502, `the name ${host} cannot be resolved`);
    return found
      .filter((address) => ipaddr.isValid(address))
      .map(checked)
      .slice(0, MOST);
  }
}

/** A mapped IPv4 address stays what it is, IPv6, so that it is not public. */
const checked = (address: string): Checked => {
  const parsed = ipaddr.parse(address);
  return { address: parsed.toString(), family: parsed instanceof ipaddr.IPv4 ? 4 : 6 };
};

/** A public address of this very machine leads past its firewall, to whatever listens here. */
function ownAddresses(): Set<string> {
  const all = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  return new Set(all.map(({ address }) => checked(address.replace(/%.*$/, "")).address));
}
