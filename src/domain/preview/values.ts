import { isId } from "#kernel/id";
import { DAY, HOUR, MINUTE } from "#kernel/time";

/** How long a signed link holds, unless its maker says otherwise. */
export const LINK_LIFE = { leastMs: MINUTE, usualMs: HOUR, mostMs: DAY } as const;

/** The label that opens a sandbox's ports to everybody, and its value. */
export const PUBLIC_LABEL = { name: "preview", value: "public" } as const;

/** What a host name asks for; a part that cannot be read is undefined. */
export type PreviewTarget = { port: number | undefined; sandboxId: string | undefined };

const LOCAL = "localhost";
/** A port, or something else in its place, and what is meant to be an id. */
const LABEL = /^(?:([0-9]+)-([^.]+)|([^.]+?)-(sb[_-][^.]+))$/;

/**
 * The port and sandbox that `{port}-{sandbox id}.{domain}` names (platform R422); undefined for every other host. Below
 * `localhost` it works without a domain. An id may be written with a dash, since not everything takes a `_` in a name.
 */
export function readPreviewHost(hostname: string, domain: string): PreviewTarget | undefined {
  const label = [withoutPort(domain), LOCAL]
    .filter((one) => one !== "" && hostname.endsWith(`.${one}`))
    .map((one) => hostname.slice(0, -one.length - 1))[0];
  const [, digits, named, other, id] = LABEL.exec(label ?? "") ?? [];
  const text = (named ?? id)?.replace(/^sb-/, "sb_");
  if (text === undefined) return undefined;
  return {
    port: digits !== undefined && other === undefined ? readPort(digits) : undefined,
    sandboxId: isId("sandbox", text) ? text : undefined,
  };
}

/**
 * The origin at which a port is seen. Without a domain that is below `localhost`, on the port at which the request for it
 * came, provided that it came there; undefined otherwise.
 */
export function previewOrigin(port: number, sandboxId: string, domain: string, requestUrl: string): string | undefined {
  const label = `${port}-${sandboxId}`;
  const { hostname, port: own } = new URL(requestUrl);
  const isHere = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
  if (domain === "") return isHere ? `http://${label}.${LOCAL}${own === "" ? "" : `:${own}`}` : undefined;
  const isLocal = withoutPort(domain) === LOCAL || withoutPort(domain).endsWith(`.${LOCAL}`);
  return `${isLocal ? "http" : "https"}://${label}.${domain}`;
}

const withoutPort = (domain: string): string => domain.toLowerCase().replace(/:[0-9]+$/, "");

function readPort(digits: string): number | undefined {
  const port = Number(digits);
  return /^[1-9][0-9]{0,4}$/.test(digits) && port <= 65_535 ? port : undefined;
}
