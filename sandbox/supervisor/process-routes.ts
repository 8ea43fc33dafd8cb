import type { ServerHttp2Stream } from "node:http2";
import { KILL_SIGNALS, STREAM_TYPE } from "#protocol/supervisor-values";
import type { BackgroundProcess } from "./background.ts";
import { json, nothing, type Routes, untilClosed, wholeBody } from "./call.ts";
import { follow } from "./follow.ts";
import { choiceParam, offsetParam, processRequest, readInput, readJson, terminalSize } from "./input.ts";
import type { Processes } from "./table.ts";

export function processRoutes(processes: Processes): Routes {
  return {
    "POST /v1/processes": async ({ stream, query }) => {
      const owned = choiceParam(query, "owned", ["no", "stream"]) === "stream";
      const process = await processes.start(processRequest(await readJson(stream)), { owned });
      if (owned) return serveOwned(process, stream);
      json(stream, { pid: process.info.pid, tag: process.info.tag });
    },
    "GET /v1/processes": async ({ stream }) => json(stream, { processes: processes.list().map(({ info }) => info) }),
    "DELETE /v1/processes/*": async ({ stream, query, name }) => {
      const signal = choiceParam(query, "signal", KILL_SIGNALS);
      await processes.findRunning(name).kill(signal);
      nothing(stream);
    },
    "GET /v1/processes/*/stream": async ({ stream, query, name }) => {
      const process = processes.find(name);
      const offset = offsetParam(query, process.ring);
      begin(stream);
      await follow(process, offset, stream);
    },
    "POST /v1/processes/*/input": async ({ stream, name }) => {
      const gone = untilClosed(stream);
      const bytes = await readInput(wholeBody(stream));
      await processes.findRunning(name).write(bytes, gone);
      nothing(stream);
    },
    "DELETE /v1/processes/*/input": async ({ stream, name }) => {
      processes.findRunning(name).closeInput();
      nothing(stream);
    },
    "POST /v1/processes/*/resize": async ({ stream, name }) => {
      const size = terminalSize(await readJson(stream));
      processes.findRunning(name).resize(size);
      nothing(stream);
    },
  };
}

function begin(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200, "content-type": STREAM_TYPE });
}

/** Streams a process that lives only as long as its reader stays; a slow one makes it wait. */
async function serveOwned(process: BackgroundProcess, stream: ServerHttp2Stream): Promise<void> {
  process.own(0);
  if (!stream.destroyed) {
    begin(stream);
    await follow(process, 0, stream);
  }
  if (!process.exit) await process.kill("SIGKILL");
}
