import { UNREACHABLE_AFTER_MS } from "#domain/host/values";
import { MINUTE } from "#kernel/time";

/** The directory learns of a host's signs of life at most this often. */
export const PUBLISH_EVERY_MS = MINUTE;

export type Liveness = {
  /** `pending` until the host registers. */
  status: "pending" | "online" | "unreachable";
  lastBeatAt: number | null;
  publishedAt: number | null;
  /** Where the host says it is; null until it says so after registration. */
  address: string | null;
};

export type LivenessEvent = { type: "registered" } | { type: "beat"; address: string | null } | { type: "tick" };

export type LivenessEffect =
  /** Writes status and last sign of life to the directory. */
  | { type: "publish" }
  | { type: "record"; action: "host.lost" | "host.returned"; at: number }
  /** Asks every sandbox on the host to look whether it still runs. */
  | { type: "sweep" };

export const initialLiveness: Liveness = { status: "pending", lastBeatAt: null, publishedAt: null, address: null };

/** When silence becomes unreachability, or null while nothing is expected of the host. */
export const silentAt = ({ status, lastBeatAt }: Liveness): number | null =>
  status === "online" && lastBeatAt !== null ? lastBeatAt + UNREACHABLE_AFTER_MS : null;

/** Whether a host is there. A registration counts as a sign of life, and its verb writes the directory itself. */
export function step(
  state: Liveness,
  event: LivenessEvent,
  now: number,
): { state: Liveness; effects: LivenessEffect[] } {
  switch (event.type) {
    case "registered":
      return { state: { status: "online", lastBeatAt: now, publishedAt: null, address: null }, effects: [] };
    case "beat":
      return beat(state, event.address ?? state.address, now);
    case "tick": {
      const due = silentAt(state);
      if (due === null || now < due) return { state, effects: [] };
      const lost = { ...state, status: "unreachable" as const, publishedAt: now };
      return {
        state: lost,
        effects: [{ type: "publish" }, { type: "record", action: "host.lost", at: now }, { type: "sweep" }],
      };
    }
    default:
      return event satisfies never;
  }
}

function beat(state: Liveness, address: string | null, now: number): ReturnType<typeof step> {
  if (state.status === "pending") return { state, effects: [] };
  if (state.status === "unreachable") {
    const back = { status: "online" as const, lastBeatAt: now, publishedAt: now, address };
    return {
      state: back,
      effects: [{ type: "publish" }, { type: "record", action: "host.returned", at: now }, { type: "sweep" }],
    };
  }
  const told = state.address === address && state.publishedAt !== null;
  const fresh = told && now - (state.publishedAt ?? 0) < PUBLISH_EVERY_MS;
  const next = { ...state, address, lastBeatAt: now, publishedAt: fresh ? state.publishedAt : now };
  return { state: next, effects: fresh ? [] : [{ type: "publish" }] };
}
