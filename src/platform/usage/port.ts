import type { UsagePort } from "#domain/usage/ports";

/** Usage in the objects of the `TEAM` binding. */
export function usagePort(env: Pick<Env, "TEAM">): UsagePort {
  return {
    of(teamId) {
      // A stub is broken for good once its object crashed, so each call takes a fresh one.
      const rpc = () => env.TEAM.getByName(teamId);
      return {
        report: (report) => rpc().reportLoad(report),
        stats: (range, since) => rpc().stats(range, since),
        days: (from, to) => rpc().usageDays(from, to),
      };
    },
  };
}
