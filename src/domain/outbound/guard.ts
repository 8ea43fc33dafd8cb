import ipaddr from "ipaddr.js";
import { ok, type Result, refuse } from "#kernel/fault";
import { isPublicAddress } from "#kernel/public-address";

export type GuardSettings = {
  /** `host:port` of receivers that are exempt, as the URL standard writes them. */
  allow: ReadonlySet<string>;
  ports: ReadonlySet<number>;
};

/** An address that may be asked; an exempt receiver need not be public, nor speak https. */
export type Checked = { url: URL; exempt: boolean };

export const DEFAULT_PORTS: readonly number[] = [80, 443, 8080, 8443];

const MAX_URL_LENGTH = 2_000;
/** Names that only mean something inside a network. */
const INTERNAL_SUFFIXES = [
  ...["localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa"],
];

/**
 * Whether a server of ours may send a request to an address that a user chose (platform R360, W2): http or https, no
 * credentials, one of the allowed ports, and no host that is visibly not public. What a name resolves to cannot be told
 * from its text; that is checked where the connection is made. Refuses with `invalid`; the words never repeat the URL,
 * which may hold a secret.
 */
export function guardUrl(text: string, { allow, ports }: GuardSettings): Result<Checked> {
  if (text.length > MAX_URL_LENGTH) return no(`must have at most ${MAX_URL_LENGTH} characters`);
  const url = URL.parse(text);
  if (!url) return no("is not a valid URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") return no("must be http or https");
  if (url.username !== "" || url.password !== "") return no("must not contain a user name or password");
  const port = portOf(url);
  if (allow.has(`${url.hostname}:${port}`)) return ok({ url, exempt: true });
  if (!ports.has(port)) return no(`must use one of the ports ${[...ports].join(", ")}`);
  if (!isPublicHost(url.hostname)) return no("must be a public host");
  return ok({ url, exempt: false });
}

const portOf = ({ port, protocol }: URL): number => (port === "" ? (protocol === "https:" ? 443 : 80) : Number(port));

/** Whether a host, as `URL` writes it, is a public address or a name that may be one. */
export function isPublicHost(hostname: string): boolean {
  const literal = hostname.replace(/^\[(.*)\]$/, "$1");
  if (ipaddr.isValid(literal)) return isPublicAddress(literal);
  const name = hostname.toLowerCase().replace(/\.$/, "");
  const labels = name.split(".");
  if (labels.length < 2 || labels.some((label) => label === "")) return false;
  return !INTERNAL_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

const no = (rule: string) => refuse("invalid", `the address ${rule}`);
