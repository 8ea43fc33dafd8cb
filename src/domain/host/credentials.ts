import type { RefreshGrant } from "#domain/host/ports";
import { REFRESH_TTL_MS } from "#domain/host/values";
import { sameText } from "#kernel/digest";
import { ok, type Result, refuse } from "#kernel/fault";
import { SECOND } from "#kernel/time";

/** Two requests that race with one refresh token are no theft: the later one is refused and the family lives on. */
export const RACE_MS = 10 * SECOND;

export type Credentials = {
  invitation: { tokenHash: string; expiresAt: number } | null;
  family: number;
  refresh: RefreshGrant | null;
  /** Refresh tokens of the family that were exchanged, and when. */
  spent: { tokenHash: string; at: number }[];
  /** True once the host was deleted. */
  retired?: boolean;
};

export const noCredentials: Credentials = { invitation: null, family: 0, refresh: null, spent: [] };

type Change = { state: Credentials; answer: Result<{ family: number }> };

export const invite = (state: Credentials, invitation: NonNullable<Credentials["invitation"]>): Credentials => ({
  ...state,
  invitation,
});

/** Ends everything: no token of any family is worth anything, and none can be had. */
export const retire = ({ family }: Credentials): Credentials => ({
  ...noCredentials,
  family: family + 1,
  retired: true,
});

/** Takes the registration token. A host that registers again begins a new family, which ends the one before. */
export function redeem(state: Credentials, tokenHash: string, next: RefreshGrant, now: number): Change {
  const { invitation } = state;
  if (!invitation || !sameText(invitation.tokenHash, tokenHash) || now >= invitation.expiresAt) {
    return { state, answer: refuse("unauthenticated", "the registration token is wrong, used or expired") };
  }
  const family = state.family + 1;
  return { state: { invitation: null, family, refresh: next, spent: [] }, answer: ok({ family }) };
}

/** Exchanges the refresh token. One that was exchanged before was copied, so its whole family ends. */
export function rotate(state: Credentials, tokenHash: string, next: RefreshGrant, now: number): Change {
  const { refresh, family } = state;
  const bad = "the refresh token is wrong, used or expired";
  const reused = state.spent.find((old) => sameText(old.tokenHash, tokenHash));
  if (reused && now - reused.at > RACE_MS) {
    const ended = { ...state, family: family + 1, refresh: null, spent: [] };
    return { state: ended, answer: refuse("unauthenticated", bad, { reused: true }) };
  }
  if (!refresh || !sameText(refresh.tokenHash, tokenHash) || now >= refresh.expiresAt) {
    return { state, answer: refuse("unauthenticated", bad) };
  }
  const spent = [...state.spent.filter((old) => now - old.at < REFRESH_TTL_MS), { tokenHash, at: now }];
  return { state: { ...state, refresh: next, spent }, answer: ok({ family }) };
}

/** True while tokens of `family` are worth something. */
export const isLive = (state: Credentials, family: number): boolean =>
  state.refresh !== null && state.family === family;
