import { verifyHostToken } from "#domain/host/verify-host-token";
import type { Operation } from "#http/operation";
import type { Surface } from "#http/surface";
import { Fault, unwrap } from "#kernel/fault";
import { FaultBody, fault } from "#surfaces/platform/faults";
import { hostOperations } from "#surfaces/platform/hosts";

export const platformOperations: readonly Operation[] = [...hostOperations];

/** The part of the platform contract that host agents speak. */
export const platformSurface: Surface = {
  name: "platform",
  title: "Longshore platform API",
  description: "Hosts: the machines that run sandboxes register here and report that they are alive.",
  operations: platformOperations,
  faultBody: FaultBody,
  fault,
  authenticate: async (base, request) => {
    const token = request.headers.get("x-host-token");
    if (token === null) throw new Fault("unauthenticated", "a host token is required");
    return unwrap(await verifyHostToken(base, token));
  },
  credential: { name: "hostTokenAuth", header: "X-Host-Token" },
};
