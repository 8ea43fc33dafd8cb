import { z } from "zod";
import type { FaultAnswer } from "#http/surface";
import { FAULTS, type FaultCode, type FaultDetails } from "#kernel/fault";

export const FaultBody = z
  .object({
    error: z
      .object({ code: z.string(), message: z.string(), details: z.record(z.string(), z.unknown()).optional() })
      .meta({ id: "Error" }),
  })
  .meta({ id: "ErrorResponse" });

/** This contract's words for the faults (its section 3). Statuses are the kernel's. */
const WORDS: Record<FaultCode, string> = {
  unauthenticated: "unauthorized",
  wrong_password: "wrong_password",
  forbidden: "forbidden",
  csrf_failed: "csrf_failed",
  no_team: "no_team",
  account_not_activated: "account_not_activated",
  account_disabled: "account_disabled",
  invalid: "invalid_request",
  invalid_cursor: "invalid_cursor",
  invalid_path: "invalid_sandbox_path",
  invalid_token: "invalid_token",
  last_login_method: "last_login_method",
  last_platform_admin: "last_platform_admin",
  already_member: "already_member",
  delivery_failed: "delivery_failed",
  unsupported_media_type: "invalid_content_type",
  too_large: "payload_too_large",
  rate_limited: "rate_limited",
  idempotency_running: "idempotency_request_running",
  idempotency_mismatch: "idempotency_key_reused",
  conflict: "conflict",
  email_taken: "email_taken",
  signup_cooldown: "signup_cooldown",
  host_has_sandboxes: "host_has_sandboxes",
  owns_team_with_members: "owns_team_with_members",
  queue_full: "session_queue_full",
  not_supported: "not_supported",
  unavailable: "unavailable",
  timeout: "sandbox_command_timeout",
  internal: "internal_error",
  route_not_found: "route_not_found",
  user_not_found: "user_not_found",
  team_not_found: "team_not_found",
  member_not_found: "member_not_found",
  provider_not_found: "provider_not_found",
  channel_not_found: "channel_not_found",
  delivery_not_found: "delivery_not_found",
  workspace_not_found: "workspace_not_found",
  sandbox_not_found: "sandbox_not_found",
  metrics_not_found: "metrics_not_found",
  host_not_found: "host_not_found",
  session_not_found: "session_not_found",
  message_not_found: "message_not_found",
  run_not_found: "run_not_found",
  queued_run_not_found: "queued_run_not_found",
  agent_not_found: "agent_not_found",
  model_not_found: "model_not_found",
  runtime_not_found: "runtime_not_found",
  workspace_read_only: "workspace_read_only",
  workspace_owner_mismatch: "workspace_owner_mismatch",
  agent_target_invalid: "invalid_session_agent_target",
  process_not_found: "process_not_found",
  template_not_found: "runtime_not_found",
  build_not_found: "build_not_found",
  template_name_taken: "template_name_taken",
  sandbox_not_running: "sandbox_not_running",
  no_hosts_available: "sandbox_host_unavailable",
  host_lost: "sandbox_host_lost",
  sandbox_failed: "sandbox_start_failed",
  path_not_allowed: "workspace_path_not_allowed",
  root_mutation: "workspace_root_mutation_not_allowed",
  file_not_found: "workspace_file_not_found",
  directory_not_found: "workspace_directory_not_found",
  entry_not_found: "workspace_entry_not_found",
  entry_exists: "workspace_entry_exists",
  entry_conflict: "workspace_entry_conflict",
  directory_not_empty: "workspace_directory_not_empty",
  precondition_failed: "workspace_precondition_failed",
  not_a_regular_file: "workspace_not_a_regular_file",
  disk_full: "sandbox_disk_full",
};

/** `{error: {code, message, details?}}` with lower-case codes. */
export function fault(code: FaultCode, message: string, details?: FaultDetails): FaultAnswer {
  return { status: FAULTS[code].status, body: { error: { code: WORDS[code], message, ...(details && { details }) } } };
}
