import { z } from "zod";
import type { FaultAnswer } from "#http/surface";
import { FAULTS, type FaultCode, type FaultDetails } from "#kernel/fault";

/** Capsules that keep a host from being deleted; no other failure names any. */
const Blocking = z.array(z.string()).optional();

export const FaultBody = z
  .object({ error: z.object({ code: z.string(), message: z.string(), sandbox_ids: Blocking }), sandbox_ids: Blocking })
  .meta({ id: "Error" });

/** This contract's words for the faults (its section 0). Statuses are the kernel's unless the contract has its own. */
const WORDS: Record<FaultCode, string> = {
  unauthenticated: "unauthorized",
  wrong_password: "wrong_password",
  forbidden: "forbidden",
  csrf_failed: "csrf_failed",
  no_team: "no_team",
  account_not_activated: "account_not_activated",
  account_disabled: "account_disabled",
  invalid: "invalid_request",
  invalid_cursor: "invalid_request",
  invalid_path: "invalid_request",
  invalid_token: "invalid_token",
  last_login_method: "last_login_method",
  last_platform_admin: "invalid_request",
  already_member: "invalid_request",
  delivery_failed: "delivery_failed",
  unsupported_media_type: "invalid_request",
  too_large: "too_large",
  rate_limited: "rate_limited",
  idempotency_running: "conflict",
  idempotency_mismatch: "conflict",
  conflict: "conflict",
  email_taken: "email_taken",
  signup_cooldown: "signup_cooldown",
  host_has_sandboxes: "host_has_sandboxes",
  owns_team_with_members: "owns_team_with_members",
  queue_full: "rate_limited",
  not_supported: "invalid_request",
  unavailable: "host_unavailable",
  timeout: "timeout",
  internal: "internal_error",
  route_not_found: "not_found",
  user_not_found: "not_found",
  team_not_found: "not_found",
  member_not_found: "not_found",
  provider_not_found: "provider_not_found",
  channel_not_found: "not_found",
  delivery_not_found: "not_found",
  workspace_not_found: "not_found",
  sandbox_not_found: "not_found",
  metrics_not_found: "not_found",
  host_not_found: "not_found",
  session_not_found: "not_found",
  message_not_found: "not_found",
  run_not_found: "not_found",
  queued_run_not_found: "not_found",
  agent_not_found: "not_found",
  model_not_found: "not_found",
  runtime_not_found: "not_found",
  workspace_read_only: "forbidden",
  workspace_owner_mismatch: "conflict",
  agent_target_invalid: "conflict",
  process_not_found: "not_found",
  template_not_found: "not_found",
  build_not_found: "not_found",
  template_name_taken: "template_name_taken",
  sandbox_not_running: "invalid_state",
  no_hosts_available: "no_hosts_available",
  host_lost: "host_unavailable",
  sandbox_failed: "agent_error",
  path_not_allowed: "forbidden",
  root_mutation: "invalid_request",
  file_not_found: "not_found",
  directory_not_found: "not_found",
  entry_not_found: "not_found",
  entry_exists: "already_exists",
  entry_conflict: "conflict",
  directory_not_empty: "conflict",
  precondition_failed: "conflict",
  not_a_regular_file: "invalid_request",
  disk_full: "agent_error",
};

/** Statuses that this contract does not have, and what it answers instead. */
const STATUSES: Partial<Record<FaultCode, number>> = {
  unsupported_media_type: 400,
  idempotency_mismatch: 409,
  not_supported: 400,
  precondition_failed: 409,
  not_a_regular_file: 400,
  disk_full: 502,
};

/**
 * `{error: {code, message}}`. This contract shows no details, except which capsules keep a host from being deleted: inside
 * `error`, and once more on top, where its client looks (R326).
 */
export function fault(code: FaultCode, message: string, details?: FaultDetails): FaultAnswer {
  const status = STATUSES[code] ?? FAULTS[code].status;
  const error = { code: WORDS[code], message };
  if (code !== "host_has_sandboxes") return { status, body: { error } };
  const blocking = { sandbox_ids: details?.sandboxIds };
  return { status, body: { error: { ...error, ...blocking }, ...blocking } };
}
