import { rmSync } from "node:fs";
import type { AgentSandbox, SandboxLimits } from "#protocol/host-agent";
import type { ExecRequest, ExecResult } from "#protocol/supervisor";
import { type AgentOptions, TestAgent } from "#test/node/agent";

type Body = NonNullable<RequestInit["body"]>;
export type MachineCall = { sandbox: string; gen: number; act: "lifecycle" | "use"; audience?: string; body?: Body };

/** Anything that runs sandboxes and speaks the host agent's interface. */
export type Machine = {
  /** What is left of a sandbox that was paused. */
  pauseKeeps: "memory" | "files";
  /** What is left of one whose machine was lost: everything in its files, or what was saved last. */
  lossKeeps: "files" | "saved";
  call(method: string, path: string, options: MachineCall): Promise<Response>;
  /** Ends the machine under a sandbox as a crash would, and answers when it can be asked again. */
  lose(sandboxId: string): Promise<void>;
  close(): Promise<void>;
};

export const SMALL: SandboxLimits = { vcpus: 1, memoryMb: 256, diskMb: 256, pids: 256 };

/** A host agent as a machine. */
export async function agentMachine(options: AgentOptions): Promise<Machine> {
  let agent = await TestAgent.start(options);
  return {
    pauseKeeps: "memory",
    lossKeeps: "files",
    call: (method, path, call) => agent.call(method, path, call),
    lose: async () => {
      const { control, folder } = agent;
      agent.process.kill("SIGKILL");
      await agent.exited;
      agent = await TestAgent.start({ ...options, control, folder });
    },
    close: async () => {
      const { folder } = agent;
      await agent.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

let execs = 0;

/** One sandbox on a machine, under one generation. */
export class MachineSandbox {
  readonly machine: Machine;
  readonly id: string;
  readonly gen: number;

  constructor(machine: Machine, id: string, gen = 1) {
    this.machine = machine;
    this.id = id;
    this.gen = gen;
  }

  /** The same sandbox under the next generation. */
  next(): MachineSandbox {
    return new MachineSandbox(this.machine, this.id, this.gen + 1);
  }

  lifecycle(method: string, rest = "", body?: object): Promise<Response> {
    const { id: sandbox, gen } = this;
    const call = { sandbox, gen, act: "lifecycle", ...(body && { body: JSON.stringify(body) }) } as const;
    return this.machine.call(method, `/v1/sandboxes/${sandbox}${rest}`, call);
  }

  async start(limits: SandboxLimits = SMALL): Promise<AgentSandbox> {
    return read(await this.lifecycle("PUT", "", { limits }));
  }

  async look(): Promise<{ status: number; body: Partial<AgentSandbox> }> {
    const response = await this.lifecycle("GET");
    return { status: response.status, body: (await response.json()) as Partial<AgentSandbox> };
  }

  async pause(): Promise<AgentSandbox> {
    return read(await this.lifecycle("POST", "/freeze"));
  }

  async resume(): Promise<AgentSandbox> {
    return read(await this.lifecycle("POST", "/thaw"));
  }

  async stop(files: "keep" | "wipe"): Promise<number> {
    return (await this.lifecycle("DELETE", `?files=${files}`)).status;
  }

  use(method: string, path: string, body?: Body): Promise<Response> {
    const { id: sandbox, gen } = this;
    const call = { sandbox, gen, act: "use", ...(body !== undefined && { body }) } as const;
    return this.machine.call(method, `/v1/sandboxes/${sandbox}/supervisor/v1${path}`, call);
  }

  async exec(command: ExecRequest["command"], options: Partial<ExecRequest> = {}): Promise<ExecResult> {
    const request = { execId: `suite-${++execs}`, command, ...options };
    return read(await this.use("POST", "/exec", JSON.stringify(request)));
  }

  write(path: string, content: Body): Promise<Response> {
    return this.use("PUT", `/files/content?path=${encodeURIComponent(path)}&overwrite=true`, content);
  }
}

async function read<T>(response: Response): Promise<T> {
  const text = await response.text();
  if (response.status !== 200) throw new Error(`answered ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

/** The status and the code of a refusal, an agent's or a supervisor's. */
export async function refusalOf(response: Response): Promise<{ status: number; code: string | undefined }> {
  const body = (await response.json()) as { code?: string; error?: { code: string } };
  return { status: response.status, code: body.error?.code ?? body.code };
}
