export * from "./audit.ts";
export * from "./events.ts";
export * from "./hosts.ts";
export * from "./identity.ts";
export * from "./sandboxes.ts";
export * from "./sessions.ts";
export * from "./templates.ts";
export * from "./workspaces.ts";
