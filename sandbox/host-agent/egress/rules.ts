import type { NetworkPolicy } from "#protocol/host-agent";

/** Ports that may be reached unless the agent was told of others. */
export const DEFAULT_EGRESS_PORTS: readonly number[] = [80, 443];

/** What a program inside wants to reach; `host` is in the one form that the URL standard gives a host. */
export type Target = { host: string; port: number };

/** What the agent was told about the way out; `allow` are `host:port`s that need not be public. */
export type EgressSettings = {
  ports: ReadonlySet<number>;
  allow: ReadonlySet<string>;
  /** Name servers to ask, `address:port`; the machine's own when empty. */
  dns: readonly string[];
};

/** A refusal in words for whoever wrote the program; `status` is how the proxy answers. */
export class EgressRefusal extends Error {
  readonly status: 400 | 403 | 502 | 503;

  constructor(status: EgressRefusal["status"], message: string) {
    super(message);
    this.name = "EgressRefusal";
    this.status = status;
  }
}

const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[^\s:/?#@\\[\]]{1,253}):([0-9]{1,5})$/i;

/** The target of a CONNECT, `host:port`. */
export function readAuthority(text: string): Target {
  const [, host, port] = AUTHORITY.exec(text) ?? [];
  const url = host === undefined ? null : URL.parse(`http://${host}:${port}/`);
  if (!url) throw new EgressRefusal(400, "the proxy is asked for host:port");
  return { host: url.hostname, port: Number(port) };
}

/** The address of a plain request through the proxy. */
export function readAddress(text: string): { url: URL; target: Target } {
  const url = URL.parse(text);
  if (url?.protocol !== "http:" || url.username !== "" || url.password !== "") {
    throw new EgressRefusal(400, "this is a proxy: it takes http addresses, and CONNECT for all others");
  }
  return { url, target: { host: url.hostname, port: url.port === "" ? 80 : Number(url.port) } };
}

/** Throws unless the policy names the target and its port may be used. Nothing was looked up until then. */
export function demandNamed({ host, port }: Target, policy: Exclude<NetworkPolicy, "off">, ports: ReadonlySet<number>) {
  const name = host.replace(/\.$/, "");
  if (!policy.allow.some((pattern) => matches(pattern, name))) {
    throw new EgressRefusal(403, `this sandbox may not reach ${name}: it is not on its list`);
  }
  if (!ports.has(port)) {
    throw new EgressRefusal(403, `this sandbox may not reach port ${port}, only ${[...ports].join(", ")}`);
  }
}

/** Whether a pattern of a policy names a host. A name's own subdomains are only meant by `*.name`. */
export function matches(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  return pattern.startsWith("*.") ? name.length >= pattern.length && name.endsWith(pattern.slice(1)) : name === pattern;
}
