import { csrfTokenOf, SESSION_LIFE_MS } from "#domain/principal/values";
import { CSRF_COOKIE, SESSION_COOKIE } from "#http/credentials";
import { SECOND } from "#kernel/time";

/** Every value that a request sends for a cookie; more than one means that somebody planted another. */
export function cookiesNamed(request: Request, name: string): string[] {
  const pairs = (request.headers.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  return pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
}

type CookieOptions = { maxAgeMs: number; httpOnly?: boolean; sameSite?: "Strict" | "Lax"; path?: string };

/** A `Set-Cookie` value. `Secure` is left out on plain http alone, which only a local server speaks (platform R41). */
export function cookie(url: string, name: string, value: string, options: CookieOptions): string {
  const { maxAgeMs, httpOnly = true, sameSite = "Strict", path = "/" } = options;
  const secure = new URL(url).protocol === "http:" ? "" : "; Secure";
  const shielded = httpOnly ? "; HttpOnly" : "";
  return `${name}=${value}; Path=${path}; Max-Age=${maxAgeMs / SECOND}; SameSite=${sameSite}${shielded}${secure}`;
}

/** Puts a new session into the browser: its secret, and the anti-forgery value that scripts may read (R41, R42). */
export async function setSessionCookies(headers: Headers, url: string, token: string): Promise<void> {
  const maxAgeMs = SESSION_LIFE_MS;
  headers.append("set-cookie", cookie(url, SESSION_COOKIE, token, { maxAgeMs }));
  headers.append("set-cookie", cookie(url, CSRF_COOKIE, await csrfTokenOf(token), { maxAgeMs, httpOnly: false }));
}

export function clearSessionCookies(headers: Headers, url: string): void {
  headers.append("set-cookie", cookie(url, SESSION_COOKIE, "", { maxAgeMs: 0 }));
  headers.append("set-cookie", cookie(url, CSRF_COOKIE, "", { maxAgeMs: 0, httpOnly: false }));
}
