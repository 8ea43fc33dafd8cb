import { userInfo } from "node:os";
import { Refusal } from "./refusal.ts";

/** Refuses any user but the one that everything in the sandbox runs as, by name or number. */
export function checkUser(user: string): void {
  if (user !== String(process.getuid?.()) && user !== ownName()) {
    throw new Refusal("not_supported", "processes run as the sandbox's own user");
  }
}

function ownName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
