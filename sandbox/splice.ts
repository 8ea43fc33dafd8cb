import type { Duplex } from "node:stream";

/**
 * Passes bytes both ways between two connections, each side as fast as the other one takes them. An end is passed on and
 * leaves the other direction open; a connection that breaks breaks the other.
 */
export function splice(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on("error", () => to.destroy());
    from.once("close", () => {
      if (!from.readableEnded || !from.writableFinished) to.destroy();
    });
    from.pipe(to);
  }
}
