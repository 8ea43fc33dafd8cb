import { addressOf } from "#http/address";

const LOOPBACK_ADDRESS = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i;

const isLoopbackName = (hostname: string) =>
  hostname === "localhost" || LOOPBACK_ADDRESS.test(hostname.replace(/^\[|\]$/g, ""));

/**
 * True for a request from this machine: addressed to a loopback name, from a loopback address where the platform tells
 * it, and not sent by a web page of another origin. It is safe only on a server that listens on loopback alone and has no
 * reverse proxy in front of it, whose callers would all come from this machine.
 */
export function isFromLoopback(request: Request): boolean {
  const claimed = request.headers.get("cf-connecting-ip");
  if (!isLoopbackName(new URL(request.url).hostname)) return false;
  if (claimed !== null && !LOOPBACK_ADDRESS.test(claimed)) return false;
  const peer = addressOf(request);
  if (peer !== undefined && !LOOPBACK_ADDRESS.test(peer)) return false;
  if (request.headers.get("sec-fetch-site") === "cross-site") return false;
  const origin = request.headers.get("origin");
  return origin === null || (URL.canParse(origin) && isLoopbackName(new URL(origin).hostname));
}
