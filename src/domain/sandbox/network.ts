import type { Db } from "#domain/context";
import type { SandboxSpec } from "#domain/sandbox/ports";
import { findTemplateById } from "#domain/template/repo";
import { PLATFORM_TEAM } from "#domain/template/values";
import { NetworkPolicy } from "#protocol/host-agent";

const PUBLIC: NetworkPolicy = { allow: ["*"] };
/** Key in a template's metadata. */
const KEY = "network";

/**
 * What a sandbox may reach outside. A template of the platform says so itself in its metadata, under `network`; all
 * others have what the deployment gives (`SANDBOX_EGRESS`), of which a team's own template can only do without.
 */
export async function networkOf(
  db: Db,
  { teamId, templateId }: SandboxSpec,
  deployment: string,
): Promise<NetworkPolicy> {
  const template = templateId === null ? undefined : await findTemplateById(db, teamId, templateId);
  const wish = template?.metadata[KEY];
  if (wish === undefined) return readNetwork(deployment);
  return template?.teamId === PLATFORM_TEAM || readNetwork(wish) === "off"
    ? readNetwork(wish)
    : readNetwork(deployment);
}

/**
 * A policy as a setting tells it: `off`, `public`, or names separated by commas, of which `*.example.com` stands for all
 * below it. What cannot be read means `off`.
 */
export function readNetwork(setting: string): NetworkPolicy {
  const words = setting.split(",").flatMap((word) => word.trim().toLowerCase() || []);
  if (words.length === 0 || words.includes("off")) return "off";
  if (words.includes("public")) return PUBLIC;
  const read = NetworkPolicy.safeParse({ allow: words });
  return read.success ? read.data : "off";
}

/** A policy in words for people. */
export function networkInWords(network: NetworkPolicy | "open"): string {
  if (network === "off" || network === "open") return network;
  return network.allow.includes("*") ? "public" : network.allow.join(", ");
}
