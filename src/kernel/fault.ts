/**
 * Every way an operation can be refused. The list is closed: each surface maps every code to its own status and
 * shape, and a code that a surface forgot does not compile. `status` is the neutral default.
 */
export const FAULTS = {
  unauthenticated: { status: 401, retryable: false },
  wrong_password: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  csrf_failed: { status: 403, retryable: false },
  no_team: { status: 403, retryable: false },
  account_not_activated: { status: 403, retryable: false },
  account_disabled: { status: 403, retryable: false },
  invalid: { status: 400, retryable: false },
  invalid_cursor: { status: 400, retryable: false },
  invalid_path: { status: 400, retryable: false },
  invalid_token: { status: 400, retryable: false },
  last_login_method: { status: 400, retryable: false },
  last_platform_admin: { status: 400, retryable: false },
  already_member: { status: 400, retryable: false },
  delivery_failed: { status: 400, retryable: false },
  unsupported_media_type: { status: 415, retryable: false },
  too_large: { status: 413, retryable: false },
  rate_limited: { status: 429, retryable: true },
  idempotency_running: { status: 409, retryable: true },
  idempotency_mismatch: { status: 422, retryable: false },
  conflict: { status: 409, retryable: false },
  email_taken: { status: 409, retryable: false },
  signup_cooldown: { status: 409, retryable: true },
  host_has_sandboxes: { status: 409, retryable: false },
  owns_team_with_members: { status: 409, retryable: false },
  queue_full: { status: 429, retryable: true },
  not_supported: { status: 501, retryable: false },
  unavailable: { status: 503, retryable: true },
  timeout: { status: 504, retryable: true },
  internal: { status: 500, retryable: true },
  route_not_found: { status: 404, retryable: false },

  user_not_found: { status: 404, retryable: false },
  team_not_found: { status: 404, retryable: false },
  member_not_found: { status: 404, retryable: false },
  provider_not_found: { status: 404, retryable: false },
  channel_not_found: { status: 404, retryable: false },
  delivery_not_found: { status: 404, retryable: false },
  workspace_not_found: { status: 404, retryable: false },
  sandbox_not_found: { status: 404, retryable: false },
  metrics_not_found: { status: 404, retryable: false },
  host_not_found: { status: 404, retryable: false },
  session_not_found: { status: 404, retryable: false },
  message_not_found: { status: 404, retryable: false },
  run_not_found: { status: 404, retryable: false },
  queued_run_not_found: { status: 404, retryable: false },
  agent_not_found: { status: 404, retryable: false },
  model_not_found: { status: 404, retryable: false },
  runtime_not_found: { status: 404, retryable: false },

  workspace_read_only: { status: 403, retryable: false },
  workspace_owner_mismatch: { status: 409, retryable: false },
  agent_target_invalid: { status: 409, retryable: false },

  process_not_found: { status: 404, retryable: false },
  template_not_found: { status: 404, retryable: false },
  build_not_found: { status: 404, retryable: false },
  template_name_taken: { status: 409, retryable: false },

  sandbox_not_running: { status: 409, retryable: false },
  no_hosts_available: { status: 503, retryable: true },
  host_lost: { status: 503, retryable: true },
  sandbox_failed: { status: 502, retryable: true },

  path_not_allowed: { status: 403, retryable: false },
  root_mutation: { status: 400, retryable: false },
  file_not_found: { status: 404, retryable: false },
  directory_not_found: { status: 404, retryable: false },
  entry_not_found: { status: 404, retryable: false },
  entry_exists: { status: 409, retryable: false },
  entry_conflict: { status: 409, retryable: false },
  directory_not_empty: { status: 409, retryable: false },
  precondition_failed: { status: 412, retryable: false },
  not_a_regular_file: { status: 409, retryable: false },
  disk_full: { status: 507, retryable: false },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type FaultCode = keyof typeof FAULTS;
export type FaultDetails = Record<string, unknown>;

/** An expected refusal inside one isolate. Across RPC use `Result`: a thrown class arrives there as a plain Error. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly details: FaultDetails | undefined;

  constructor(code: FaultCode, message: string, details?: FaultDetails) {
    super(message);
    this.name = "Fault";
    this.code = code;
    this.details = details;
  }
}

export type Refusal = { ok: false; code: FaultCode; message: string; details?: FaultDetails };
export type Result<T> = { ok: true; value: T } | Refusal;

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });

export const refuse = (code: FaultCode, message: string, details?: FaultDetails): Refusal => ({
  ok: false,
  code,
  message,
  ...(details && { details }),
});

/** The value of a result; a refusal is thrown as a `Fault`. */
export function unwrap<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Fault(result.code, result.message, result.details);
}

/** Runs `work` and turns a thrown `Fault` into a value, for answers that cross RPC. Other errors stay errors. */
export async function settle<T>(work: () => Promise<T> | T): Promise<Result<T>> {
  try {
    return ok(await work());
  } catch (error) {
    if (error instanceof Fault) return refuse(error.code, error.message, error.details);
    throw error;
  }
}
