import ipaddr from "ipaddr.js";

/** What workerd tells of a connection that it accepted itself; Cloudflare's edge tells other things. */
type WithSocket = Request & { cf?: { clientIp?: unknown } };

const NETWORK_BITS = 64;

/**
 * The address a request comes from, or undefined where nobody trustworthy tells it. A server of one's own knows the
 * peer of its socket; the edge writes CF-Connecting-IP over whatever the caller sent. Other headers are the caller's
 * word, except the one that `proxyHeader` names because a reverse proxy writes it: its last entry is the proxy's.
 */
export function addressOf(request: Request, proxyHeader?: string): string | undefined {
  const told = proxyHeader && request.headers.get(proxyHeader)?.split(",").at(-1);
  return (
    plainAddress(told) ??
    plainAddress((request as WithSocket).cf?.clientIp) ??
    plainAddress(request.headers.get("cf-connecting-ip"))
  );
}

/**
 * What counts as one caller among addresses: an IPv4 address, or the /64 of an IPv6 address, of which every household
 * has at least one to itself.
 */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return "unknown";
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${NETWORK_BITS}`).toString()}/${NETWORK_BITS}`;
}

/** An address without port, brackets and zone, in its shortest form; undefined for anything else. */
function plainAddress(text: unknown): string | undefined {
  if (typeof text !== "string") return undefined;
  const bare = text
    .trim()
    .replace(/^\[([^\]]*)\](:\d+)?$/, "$1")
    .replace(/^([\d.]+):\d+$/, "$1")
    .replace(/%.*$/, "");
  return ipaddr.IPv6.isValid(bare) || ipaddr.IPv4.isValidFourPartDecimal(bare)
    ? ipaddr.process(bare).toString()
    : undefined;
}
