import { constants, type Http2Session, performServerHandshake, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FILE_SORTS, SUPERVISOR_ERRORS } from "#protocol/supervisor-values";
import { json, nothing, type Routes, route, untilClosed, wholeBody } from "./call.ts";
import { openContent, readChunks, writeContent } from "./content.ts";
import { passToPort } from "./dial.ts";
import { Commands } from "./exec.ts";
import { globFiles } from "./glob.ts";
import {
  booleanField,
  choiceParam,
  countParam,
  environmentField,
  execRequest,
  readJson,
  requiredParam,
  stringField,
  timeParam,
} from "./input.ts";
import { Launcher } from "./launch.ts";
import { resultStream } from "./output.ts";
import { processRoutes } from "./process-routes.ts";
import { asRefusal, Refusal } from "./refusal.ts";
import { Processes } from "./table.ts";
import { listDirectory, makeDirectory, moveEntry, removeEntry, statEntry, walkTree } from "./tree.ts";
import { Workspace } from "./workspace.ts";

const WINDOW_BYTES = 1024 * 1024;
const MAX_LIST = 1000;
const MAX_TREE = 10_000;

type Options = {
  root: string;
  /** Variables of everything that is started, unless a request sets them. */
  environment: Readonly<Record<string, string>>;
  onClose: () => void;
};

/** Serves the supervisor's protocol over one connection; when that closes, everything started is killed. */
export function serve(socket: Duplex, { root, environment, onClose }: Options): void {
  const workspace = new Workspace(root);
  const launcher = new Launcher(workspace, environment);
  const routes = {
    ...execRoutes(new Commands(launcher), launcher),
    ...processRoutes(new Processes(launcher)),
    ...fileRoutes(workspace),
    ...PORT_ROUTES,
  };
  const session: Http2Session = performServerHandshake(socket, { settings: { initialWindowSize: WINDOW_BYTES } });
  session.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    void answer(routes, stream, headers[":method"] ?? "", headers[":path"] ?? "");
  });
  session.on("error", () => {});
  session.on("close", () => {
    launcher.killAll();
    onClose();
  });
}

async function answer(routes: Routes, stream: ServerHttp2Stream, method: string, path: string) {
  try {
    const url = new URL(path, "http://sandbox");
    const found = route(routes, method, url.pathname);
    if (!found) throw new Refusal("invalid", "no such operation");
    await found.handler({ stream, query: url.searchParams, name: found.name });
  } catch (error) {
    fail(stream, error);
  }
}

function fail(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed) return;
  if (stream.headersSent) {
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return;
  }
  const { code, message } = asRefusal(error instanceof URIError ? new Refusal("invalid", "bad path") : error);
  stream.respond({ ":status": SUPERVISOR_ERRORS[code], "content-type": "application/json" });
  stream.end(JSON.stringify({ code, message }));
  // An upload that was refused is read to its end, or its sender would wait for room.
  stream.resume();
}

function execRoutes(commands: Commands, launcher: Launcher): Routes {
  return {
    "GET /v1/health": async ({ stream }) => {
      json(stream, { v: 1, pid: process.pid });
      launcher.makeReady();
    },
    "PUT /v1/environment": async ({ stream }) => {
      launcher.extendEnvironment(environmentField((await readJson(stream)).env));
      nothing(stream);
    },
    "POST /v1/exec": async ({ stream }) => {
      const gone = untilClosed(stream);
      const outcome = await commands.run(execRequest(await readJson(stream)), gone);
      if (stream.destroyed) return;
      stream.respond({ ":status": 200, "content-type": "application/json" });
      await pipeline(resultStream(outcome), stream);
    },
    "DELETE /v1/exec/*": async ({ stream, name }) => {
      await commands.kill(name);
      nothing(stream);
    },
  };
}

const PORT_ROUTES: Routes = { "POST /v1/ports/*": ({ stream, name }) => passToPort(stream, name) };

function fileRoutes(workspace: Workspace): Routes {
  const located = (query: URLSearchParams) => workspace.locate(requiredParam(query, "path"));
  return {
    "GET /v1/files/stat": async ({ stream, query }) => json(stream, await statEntry(workspace, located(query))),
    "GET /v1/files/list": async ({ stream, query }) =>
      json(
        stream,
        await listDirectory(workspace, located(query), {
          sortBy: choiceParam(query, "sortBy", FILE_SORTS),
          order: choiceParam(query, "order", ["asc", "desc"]),
          offset: countParam(query, "offset", 0, 0),
          limit: Math.min(countParam(query, "limit", 1, MAX_LIST), MAX_LIST),
        }),
      ),
    "GET /v1/files/tree": async ({ stream, query }) => {
      const depth = Math.max(1, countParam(query, "depth", 0, 1));
      const limit = Math.min(countParam(query, "limit", 1, MAX_TREE), MAX_TREE);
      json(stream, await walkTree(workspace, located(query), { depth, limit }));
    },
    "GET /v1/files/content": ({ stream, query }) =>
      sendContent(workspace, stream, located(query), countParam(query, "maxBytes", 1, Number.MAX_SAFE_INTEGER)),
    "PUT /v1/files/content": async ({ stream, query }) => {
      const mtimeMs = timeParam(query, "mtimeMs");
      const overwrite = choiceParam(query, "overwrite", ["true", "false"]) === "true";
      const options = { overwrite, mtimeMs, ifMatch: query.get("ifMatch") ?? undefined };
      json(stream, await writeContent(workspace, located(query), options, wholeBody(stream)));
    },
    "POST /v1/files/mkdir": async ({ stream }) => {
      const body = await readJson(stream);
      const location = workspace.locate(stringField(body, "path"));
      const exclusive = body.exclusive !== undefined && booleanField(body, "exclusive");
      json(stream, await makeDirectory(workspace, location, { parents: booleanField(body, "parents"), exclusive }));
    },
    "POST /v1/files/move": async ({ stream }) => {
      const body = await readJson(stream);
      const source = workspace.locate(stringField(body, "source"));
      const target = workspace.locate(stringField(body, "target"));
      json(stream, await moveEntry(workspace, source, target, booleanField(body, "overwrite")));
    },
    "DELETE /v1/files": async ({ stream, query }) => {
      const recursive = choiceParam(query, "recursive", ["false", "true"]) === "true";
      json(stream, await removeEntry(workspace, located(query), recursive));
    },
    "GET /v1/files/glob": async ({ stream, query }) => {
      const location = workspace.locate(query.get("path") ?? "");
      const limit = Math.min(countParam(query, "limit", 1, MAX_LIST), MAX_LIST);
      json(stream, await globFiles(workspace, location, requiredParam(query, "pattern"), limit));
    },
  };
}

/** Streams a file as it was long when it was opened, so that one which grows still has an end. */
async function sendContent(
  workspace: Workspace,
  stream: ServerHttp2Stream,
  location: ReturnType<Workspace["locate"]>,
  maxBytes: number,
): Promise<void> {
  const { handle, stat } = await openContent(workspace, location);
  try {
    if (stream.destroyed) return;
    stream.respond({
      ":status": 200,
      "content-type": "application/octet-stream",
      "x-file-stat": encodeURIComponent(JSON.stringify(stat)),
    });
    await pipeline(readChunks(handle, Math.min(stat.size, maxBytes)), stream);
  } finally {
    await handle.close();
  }
}
