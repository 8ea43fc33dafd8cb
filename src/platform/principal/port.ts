import type { PrincipalHandle, PrincipalPort } from "#domain/principal/ports";

/** Principals as objects, one per id. */
export function principalPort(env: Pick<Env, "PRINCIPAL">): PrincipalPort {
  return { principal: (id) => env.PRINCIPAL.getByName(id) as unknown as PrincipalHandle };
}
