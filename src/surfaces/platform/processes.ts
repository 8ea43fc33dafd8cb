import { z } from "zod";
import { killProcess } from "#domain/process/kill-process";
import { listProcesses } from "#domain/process/list-processes";
import { Empty, operation } from "#http/operation";
import { KILL_SIGNALS } from "#protocol/supervisor";
import { adminTwin } from "#surfaces/platform/admin-twin";

const ProcessEntry = z
  .object({ pid: z.int(), tag: z.string(), cmd: z.string(), args: z.array(z.string()) })
  .meta({ id: "ProcessEntry" });
const ProcessList = z.object({ processes: z.array(ProcessEntry) }).meta({ id: "ProcessListResponse" });

const ofProcess = z.object({
  id: z.string(),
  selector: z.string().describe("A process id when it is all digits, else a tag."),
});

const list = operation({
  id: "listProcesses",
  method: "get",
  path: "/v1/capsules/{id}/processes",
  tag: "capsules",
  summary: "List the processes that run in the background",
  permission: "sandbox:read",
  accepts: ["api_key", "session"],
  params: z.object({ id: z.string() }),
  returns: { status: 200, schema: ProcessList },
  faults: ["sandbox_not_found", "sandbox_not_running", "host_lost", "sandbox_failed"],
  run: async (ctx, { params: { id } }) => {
    const processes = await listProcesses(ctx, id);
    return { processes: processes.map(({ pid, tag, command, args }) => ({ pid, tag, cmd: command, args })) };
  },
});

const kill = operation({
  id: "killProcess",
  method: "delete",
  path: "/v1/capsules/{id}/processes/{selector}",
  tag: "capsules",
  summary: "Kill a process and everything it started",
  permission: "sandbox:write",
  accepts: ["api_key", "session"],
  params: ofProcess,
  query: z.object({ signal: z.enum(KILL_SIGNALS).default("SIGKILL") }),
  returns: { status: 204, schema: Empty },
  faults: ["sandbox_not_found", "process_not_found", "sandbox_not_running", "host_lost", "sandbox_failed"],
  run: async (ctx, { params: { id, selector }, query: { signal } }) => {
    await killProcess(ctx, id, selector, signal);
    return undefined;
  },
});

export const processOperations = [
  list,
  adminTwin(list, { id: "adminListProcesses", summary: "List the processes of any team's capsule" }),
  kill,
  adminTwin(kill, {
    id: "adminKillProcess",
    summary: "Kill a process in any team's capsule",
    audits: "sandbox.process_killed",
  }),
];
