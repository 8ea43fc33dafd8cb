import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Open descriptors of a process, without its network connections: idle ones of a client's pool come and go. */
export function descriptorCount(pid: number): number {
  const connections = new Set(
    ["tcp", "tcp6"].flatMap((kind) =>
      readFileSync(`/proc/${pid}/net/${kind}`, "utf8")
        .split("\n")
        .map((line) => `socket:[${line.trim().split(/\s+/)[9]}]`),
    ),
  );
  const counted = readdirSync(`/proc/${pid}/fd`).filter((name) => {
    try {
      return !connections.has(readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      return false; // closed in the meantime
    }
  });
  return counted.length;
}
