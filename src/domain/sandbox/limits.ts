/** The largest sizes a sandbox may be asked for (platform A49). A larger disk is cut to its limit, others are refused. */
export type SandboxLimits = { maxVcpus: number; maxMemoryMb: number; maxDiskMb: number };

const DEFAULTS = { MAX_VCPUS: 8, MAX_MEMORY_MB: 16_384, MAX_DISK_MB: 5_120 } as const;

/** Throws for a value that is no size, so that a deployment with a wrong setting is noticed at once. */
export function parseSandboxLimits(vars: Partial<Record<keyof typeof DEFAULTS, string>>): SandboxLimits {
  const size = (name: keyof typeof DEFAULTS): number => {
    const value = Number(vars[name] || DEFAULTS[name]);
    if (Number.isInteger(value) && value > 0 && value <= 1_000_000) return value;
    throw new Error(`${name} must be a whole number above 0`);
  };
  return { maxVcpus: size("MAX_VCPUS"), maxMemoryMb: size("MAX_MEMORY_MB"), maxDiskMb: size("MAX_DISK_MB") };
}
