import type { SandboxRoute } from "#domain/sandbox/ports";

/** What a signed link opens: one port of one sandbox, in the name of its team. */
export type PreviewLink = { teamId: string; sandboxId: string; port: number };

/** Ports of sandboxes, seen from outside. */
export interface PreviewPort {
  /** Domain below which they are shown, with its port if it has one; empty when none is set. */
  readonly domain: string;
  /** A link's secret, which holds until `expiresAt`. */
  sign(link: PreviewLink, expiresAt: number): Promise<string>;
  /** What a link's secret opens; undefined unless we signed it and it still holds. */
  read(token: string): Promise<(PreviewLink & { expiresAt: number }) | undefined>;
  /** Sends a request to a port by way of the sandbox's host. Throws when the host does not answer. */
  send(route: SandboxRoute, sandboxId: string, port: number, request: PreviewRequest): Promise<Response>;
}

/** `path` is what the program behind the port sees, with its query. */
export type PreviewRequest = { method: string; path: string; headers: Headers; body: ReadableStream | null };
