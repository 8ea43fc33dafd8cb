import type { Operation } from "#http/operation";
import type { Surface } from "#http/surface";
import { adminCapsuleOperations } from "#surfaces/platform/admin-capsules";
import { adminTeamOperations } from "#surfaces/platform/admin-teams";
import { adminTemplateOperations } from "#surfaces/platform/admin-templates";
import { adminUserOperations } from "#surfaces/platform/admin-users";
import { apiKeyOperations } from "#surfaces/platform/api-keys";
import { auditOperations } from "#surfaces/platform/audit";
import { authOperations } from "#surfaces/platform/auth";
import { browserSessionOperations } from "#surfaces/platform/browser-sessions";
import { buildOperations } from "#surfaces/platform/builds";
import { capsuleOperations } from "#surfaces/platform/capsules";
import { channelOperations } from "#surfaces/platform/channels";
import { deliveryOperations } from "#surfaces/platform/deliveries";
import { eventOperations } from "#surfaces/platform/events";
import { execOperations } from "#surfaces/platform/exec";
import { FaultBody, fault } from "#surfaces/platform/faults";
import { fileOperations } from "#surfaces/platform/files";
import { healthOperations } from "#surfaces/platform/health";
import { hostAgentOperations } from "#surfaces/platform/host-agents";
import { hostOperations } from "#surfaces/platform/hosts";
import { meOperations } from "#surfaces/platform/me";
import { memberOperations } from "#surfaces/platform/members";
import { metricOperations } from "#surfaces/platform/metrics";
import { oauthOperations } from "#surfaces/platform/oauth";
import { processOperations } from "#surfaces/platform/processes";
import { snapshotOperations } from "#surfaces/platform/snapshots";
import { socketOperations } from "#surfaces/platform/sockets";
import { teamOperations } from "#surfaces/platform/teams";
import { terminalOperations } from "#surfaces/platform/terminals";
import { usageOperations } from "#surfaces/platform/usage";
import { userOperations } from "#surfaces/platform/users";

export const platformOperations: readonly Operation[] = [
  ...authOperations,
  ...oauthOperations,
  ...meOperations,
  ...browserSessionOperations,
  ...apiKeyOperations,
  ...teamOperations,
  ...memberOperations,
  ...userOperations,
  ...adminUserOperations,
  ...adminTeamOperations,
  ...adminTemplateOperations,
  ...buildOperations,
  ...snapshotOperations,
  ...auditOperations,
  ...channelOperations,
  ...deliveryOperations,
  ...hostOperations,
  ...hostAgentOperations,
  ...healthOperations,
  ...eventOperations,
  // Before what is below a capsule's id: their paths would be taken for ids.
  ...usageOperations,
  ...metricOperations,
  ...capsuleOperations,
  ...adminCapsuleOperations,
  ...execOperations,
  ...processOperations,
  ...fileOperations,
  ...socketOperations,
  ...terminalOperations,
];

/** Accounts, teams, keys, events, capsules and hosts, as the Wrenn API has them. */
export const platformSurface: Surface = {
  name: "platform",
  title: "Longshore platform API",
  description: "Accounts and teams, their keys, events, channels and audit log, and the hosts that run sandboxes.",
  operations: platformOperations,
  credentials: ["session"],
  faultBody: FaultBody,
  fault,
};
