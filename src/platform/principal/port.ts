import type { PrincipalHandle, PrincipalPort } from "#domain/principal/ports";

/** Principals as objects, one per name. */
export function principalPort(env: Pick<Env, "PRINCIPAL">): PrincipalPort {
  return {
    principal(name) {
      // A stub is broken for good once its object crashed, so each call takes a fresh one.
      const rpc = () => env.PRINCIPAL.getByName(name) as unknown as Omit<PrincipalHandle, "watch">;
      return {
        enrol: (credential) => rpc().enrol(credential),
        replace: (credentialId, by) => rpc().replace(credentialId, by),
        verify: (secretHash) => rpc().verify(secretHash),
        list: () => rpc().list(),
        revoke: (credentialId) => rpc().revoke(credentialId),
        revokeAll: () => rpc().revokeAll(),
        distrust: () => rpc().distrust(),
        recheck: () => rpc().recheck(),
        take: (limits) => rpc().take(limits),
        claim: (key, fingerprint) => rpc().claim(key, fingerprint),
        settle: (key, answer) => rpc().settle(key, answer),
        release: (key, effect) => rpc().release(key, effect),
        watch(credentialId, permission, teamId) {
          const team = teamId === undefined ? {} : { team: teamId };
          const query = new URLSearchParams({ credential: credentialId, permission, ...team });
          const headers = { Upgrade: "websocket" };
          return env.PRINCIPAL.getByName(name).fetch(`https://principal/watch?${query}`, { headers });
        },
      };
    },
  };
}
