/**
 * Sets the object's one alarm to the earliest of the times at which something is due, in milliseconds; null stands for
 * nothing. A time in the past means at once. With nothing due an alarm that is set stays, and does no harm.
 */
export function arm(ctx: DurableObjectState, ...due: (number | null)[]): void {
  const next = Math.min(...due.filter((at) => at !== null));
  if (Number.isFinite(next)) ctx.waitUntil(ctx.storage.setAlarm(Math.max(next, Date.now())));
}
