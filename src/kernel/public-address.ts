import ipaddr from "ipaddr.js";

const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR("2000::/3");
/** Documentation, which the library's list lacks. */
const DOCUMENTATION_V6 = ipaddr.IPv6.parseCIDR("3fff::/20");
/** Where a cloud answers its own virtual machines, in a block that is public otherwise. */
const CLOUD_INSIDE = new Set(["168.63.129.16"]);

/**
 * Whether an IP address is one of the public internet. IPv6 counts only inside the global unicast block, so that every
 * form that embeds an IPv4 address is out. `literal` must be an address.
 */
export function isPublicAddress(literal: string): boolean {
  const address = ipaddr.parse(literal);
  if (address.range() !== "unicast") return false;
  if (address instanceof ipaddr.IPv4) return !CLOUD_INSIDE.has(address.toString());
  return address.match(GLOBAL_UNICAST_V6) && !address.match(DOCUMENTATION_V6);
}
