import type { FileStat } from "#protocol/supervisor";
import { supervisorRefusal } from "#test/worker/fake-agent";

const ROOT = "/workspace";
const MTIME_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

const absolute = (path: string) => (path.startsWith("/") ? path : `${ROOT}/${path}`);

/** The file part of a supervisor over maps: what it was asked, and the files and directories that it has. */
export class FakeFiles {
  readonly files = new Map<string, Uint8Array>();
  readonly directories = new Set([ROOT]);
  readonly links = new Map<string, string>();
  readonly asked: { method: string; path: string; query: Record<string, string> }[] = [];

  readonly inside = async (request: Request, path: string): Promise<Response> => {
    const query = Object.fromEntries(new URL(request.url).searchParams);
    this.asked.push({ method: request.method, path, query });
    const at = absolute(query.path ?? "");
    switch (`${request.method} ${path}`) {
      case "GET /health":
        return Response.json({ v: 1, pid: 1 });
      case "PUT /files/content":
        return this.#write(at, new Uint8Array(await request.arrayBuffer()));
      case "GET /files/content":
        return this.#read(at);
      case "GET /files/tree":
        return this.#tree(at, Math.max(1, Number(query.depth)), Number(query.limit));
      case "POST /files/mkdir":
        return this.#mkdir(await request.json());
      case "POST /files/move":
        return this.#move(await request.json());
      case "DELETE /files":
        return this.#remove(at);
      default:
        return supervisorRefusal("internal");
    }
  };

  text(path: string): string | undefined {
    const bytes = this.files.get(path);
    return bytes && new TextDecoder().decode(bytes);
  }

  #stat(path: string): FileStat {
    const [bytes, target] = [this.files.get(path), this.links.get(path)];
    const kind = target !== undefined ? "symlink" : bytes ? "file" : "directory";
    const permissions = { file: "-rw-r--r--", directory: "drwxr-xr-x", symlink: "lrwxrwxrwx" }[kind];
    const mode = kind === "file" ? 0o644 : 0o755;
    return {
      ...{ path, name: path.split("/").at(-1) ?? "", kind, size: bytes?.length ?? 0, mode, permissions },
      ...{ mtimeMs: MTIME_MS + 0.5, birthtimeMs: MTIME_MS, owner: "sandbox", group: "users", etag: 'W/"1"' },
      symlinkTarget: target ?? null,
    };
  }

  #write(path: string, bytes: Uint8Array): Response {
    if (this.directories.has(path)) return supervisorRefusal("entry_conflict");
    this.files.set(path, bytes);
    return Response.json(this.#stat(path));
  }

  #read(path: string): Response {
    const bytes = this.files.get(path) as Uint8Array<ArrayBuffer> | undefined;
    if (!bytes) return supervisorRefusal("file_not_found");
    return new Response(bytes, { headers: { "x-file-stat": encodeURIComponent(JSON.stringify(this.#stat(path))) } });
  }

  #tree(path: string, depth: number, limit: number): Response {
    if (this.files.has(path)) return supervisorRefusal("not_a_directory");
    if (!this.directories.has(path)) return supervisorRefusal("directory_not_found");
    const below = [...this.files.keys(), ...this.directories, ...this.links.keys()]
      .filter((one) => one.startsWith(`${path}/`) && one.slice(path.length + 1).split("/").length <= depth)
      .sort();
    const entries = below.slice(0, limit).map((one) => this.#stat(one));
    return Response.json({ entries, truncated: below.length > limit });
  }

  #mkdir(body: { path: string; exclusive?: boolean }): Response {
    const path = absolute(body.path);
    if (this.files.has(path)) return supervisorRefusal("entry_conflict");
    if (this.directories.has(path) && body.exclusive) return supervisorRefusal("entry_exists");
    this.directories.add(path);
    return Response.json(this.#stat(path));
  }

  #move(body: { source: string; target: string }): Response {
    const bytes = this.files.get(absolute(body.source));
    if (!bytes) return supervisorRefusal("entry_not_found");
    this.files.delete(absolute(body.source));
    return this.#write(absolute(body.target), bytes);
  }

  #remove(path: string): Response {
    if (path === ROOT) return supervisorRefusal("root_mutation");
    const gone = [this.files, this.directories, this.links].flatMap((all) =>
      [...all.keys()].filter((one) => one === path || one.startsWith(`${path}/`)).map((one) => all.delete(one)),
    );
    return gone.length > 0 ? Response.json({ kind: "file" }) : supervisorRefusal("entry_not_found");
  }
}
