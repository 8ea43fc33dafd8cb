import type { SandboxLink } from "#domain/sandbox/ports";
import { Fault } from "#kernel/fault";
import type { ExecRequest, ExecResult, FileStat } from "#protocol/supervisor";

/** A link whose methods all refuse, but for those given. */
export function fakeLink(methods: Partial<SandboxLink>): SandboxLink {
  const refused = async (): Promise<never> => {
    throw new Fault("sandbox_not_running", "the sandbox is not running");
  };
  const names = ["exec", "kill", "stat", "list", "tree", "read", "write", "mkdir", "move", "remove", "glob"] as const;
  return { ...(Object.fromEntries(names.map((name) => [name, refused])) as unknown as SandboxLink), ...methods };
}

export const execResult = (result: Partial<ExecResult> = {}): ExecResult => ({
  stdout: "",
  stderr: "",
  encoding: "utf8",
  exitCode: 0,
  signal: null,
  timedOut: false,
  truncated: false,
  durationMs: 1,
  ...result,
});

/** A link over files in a map, keyed by path. Commands answer by `exec`, and are remembered. */
export function memoryLink(
  files: Map<string, Uint8Array>,
  exec: (request: ExecRequest) => Partial<ExecResult> = () => ({}),
) {
  const commands: ExecRequest[] = [];
  const OWNER = { permissions: "-rw-r--r--", owner: "sandbox", group: "sandbox" };
  const stat = (path: string): FileStat => {
    const bytes = files.get(path);
    if (!bytes) throw new Fault("file_not_found", `${path} does not exist`);
    const etag = `W/"${bytes.byteLength}"`;
    const times = { mtimeMs: 0, birthtimeMs: 0, mode: 0o644, ...OWNER };
    return { path, name: path, kind: "file", size: bytes.byteLength, ...times, etag, symlinkTarget: null };
  };
  const link = fakeLink({
    exec: async (request) => {
      commands.push(request);
      return execResult(exec(request));
    },
    kill: async () => {},
    read: async (path, maxBytes) => {
      const found = stat(path);
      const bytes = files.get(path)!.slice(0, maxBytes);
      return { stat: found, body: new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() };
    },
    write: async (path, body, { ifMatch }) => {
      if (ifMatch !== undefined && stat(path).etag !== ifMatch) throw new Fault("precondition_failed", "changed");
      if (body instanceof ReadableStream) throw new Error("streams are not written here");
      files.set(path, typeof body === "string" ? new TextEncoder().encode(body) : body);
      return stat(path);
    },
    glob: async (_pattern, _path, limit) => ({
      paths: [...files.keys()].slice(0, limit),
      truncated: files.size > limit,
    }),
  });
  return {
    link,
    commands,
    text: (path: string) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(files.get(path)),
  };
}
