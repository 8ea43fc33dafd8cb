import { realpathSync } from "node:fs";
import { Socket } from "node:net";
import { serve } from "./server.ts";

/** `supervisor.mjs FD ROOT`: serves the workspace at ROOT over the connected socket FD until that closes. */
const [descriptor = "3", root = "/workspace"] = process.argv.slice(2);

process.title = "supervisor";
process.umask(0o022);
serve(new Socket({ fd: Number(descriptor), readable: true, writable: true }), realpathSync(root), () =>
  process.exit(0),
);
