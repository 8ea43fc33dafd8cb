import { Problem } from "#scripts/lib/terminal";

export type Api = <T>(method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<T>;

/** A small client of the product's own API; an error answer becomes a `Problem` that shows it. */
export function api(url: string, base: Record<string, string>): Api {
  return async <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { ...base, ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Problem(`${method} ${path} answered ${response.status}.`, text);
    return (text ? JSON.parse(text) : undefined) as T;
  };
}
