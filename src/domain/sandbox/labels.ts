import { Fault } from "#kernel/fault";

/** What the machine tells of itself under these names; nobody else may (platform A15). */
export const MACHINE_LABELS = [
  "kernel_version",
  "vmm_version",
  "agent_version",
  "envd_version",
  "pause_mode",
  "network_policy",
] as const;

const MAX_LABELS = 64;
const MAX_NAME = 128;
const MAX_VALUE = 1_024;

/** Throws `invalid` for labels that a sandbox may not have. */
export function demandLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) throw new Fault("invalid", `metadata holds at most ${MAX_LABELS} labels`);
  for (const [name, value] of entries) {
    if (name === "" || name.length > MAX_NAME || value.length > MAX_VALUE) {
      throw new Fault("invalid", `a label has up to ${MAX_NAME} characters, and its value up to ${MAX_VALUE}`);
    }
    if (MACHINE_LABELS.some((reserved) => reserved === name)) {
      throw new Fault("invalid", `the label ${name} is the machine's`);
    }
  }
}
