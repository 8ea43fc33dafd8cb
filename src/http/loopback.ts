const LOOPBACK_ADDRESS = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i;

const isLoopbackName = (hostname: string) =>
  hostname === "localhost" || LOOPBACK_ADDRESS.test(hostname.replace(/^\[|\]$/g, ""));

/**
 * True for a request from this machine: addressed to a loopback name, from a loopback address where the platform tells
 * it, and not sent by a web page of another origin. It is safe only on a server that listens on loopback alone. There
 * the listener decides and these checks keep web pages out; anywhere else a caller can claim both name and address,
 * as a local server passes CF-Connecting-IP on unchanged. X-Forwarded-For and its kin are never looked at.
 */
export function isFromLoopback(request: Request): boolean {
  const peer = request.headers.get("cf-connecting-ip");
  if (!isLoopbackName(new URL(request.url).hostname)) return false;
  if (peer !== null && !LOOPBACK_ADDRESS.test(peer)) return false;
  if (request.headers.get("sec-fetch-site") === "cross-site") return false;
  const origin = request.headers.get("origin");
  return origin === null || (URL.canParse(origin) && isLoopbackName(new URL(origin).hostname));
}
