import { z } from "zod";
import type { FaultAnswer } from "#http/surface";
import { FAULTS, type FaultCode } from "#kernel/fault";

export const FaultBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) }).meta({ id: "Error" });

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
  command_not_found: "invalid_request",
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

/** `{error: {code, message}}`; this contract shows no details. */
export function fault(code: FaultCode, message: string): FaultAnswer {
  return { status: STATUSES[code] ?? FAULTS[code].status, body: { error: { code: WORDS[code], message } } };
}
