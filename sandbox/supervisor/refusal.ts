import type { SupervisorErrorCode } from "#protocol/supervisor-values";

/** An expected failure, answered as `{ code, message }`. */
export class Refusal extends Error {
  readonly code: SupervisorErrorCode;

  constructor(code: SupervisorErrorCode, message: string) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}

const BY_ERRNO: Record<string, SupervisorErrorCode> = {
  EACCES: "path_not_allowed",
  EPERM: "path_not_allowed",
  EROFS: "path_not_allowed",
  ELOOP: "path_not_allowed",
  ENAMETOOLONG: "invalid_path",
  EEXIST: "entry_exists",
  ENOTEMPTY: "directory_not_empty",
  EISDIR: "entry_conflict",
  EXDEV: "entry_conflict",
  EINVAL: "entry_conflict",
  ENXIO: "not_a_regular_file",
  ENOSPC: "disk_full",
  EDQUOT: "disk_full",
  EFBIG: "too_large",
  E2BIG: "too_large",
};

export const errnoOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** Any error as a refusal. `missing` is what ENOENT and ENOTDIR mean to the operation at hand. */
export function asRefusal(error: unknown, missing: SupervisorErrorCode = "entry_not_found"): Refusal {
  if (error instanceof Refusal) return error;
  const errno = errnoOf(error);
  const code = errno === "ENOENT" || errno === "ENOTDIR" ? missing : (BY_ERRNO[errno] ?? "internal");
  return new Refusal(code, code === "internal" ? `internal error ${errno}`.trim() : code.replaceAll("_", " "));
}

/** Runs `work`; what the file system throws becomes a refusal. */
export async function refusing<T>(missing: SupervisorErrorCode, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asRefusal(error, missing);
  }
}
