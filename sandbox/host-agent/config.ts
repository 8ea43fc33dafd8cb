import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { SECOND } from "#kernel/time";
import { DEFAULT_EGRESS_PORTS, type EgressSettings } from "./egress/rules.ts";

export const HELP = `Usage: host-agent --control URL [--token TOKEN] [options]

Runs sandboxes on this machine for a Longshore control plane.

  --control URL             address of the control plane, for example https://longshore.example.com
  --token TOKEN             one-time registration token; needed once, then the state folder knows this host.
                            LONGSHORE_HOST_TOKEN does the same and does not show in the list of processes
  --state DIR               where credentials and workspaces are kept
                            (default: /var/lib/longshore/host-agent as root, else ~/.longshore/host-agent).
                            As root every user must be able to pass the folders above it; else a folder below
                            /var/lib/longshore takes its place, linked from DIR/moved-to. Once DIR is deleted, the
                            next agent to start deletes that folder
  --listen IP               address to listen on (default: 127.0.0.1)
  --port PORT               port to listen on (default: the one used before, or a free one)
  --address ADDRESS         how the control plane reaches this agent: HOST:PORT, or the https origin of a tunnel or a
                            reverse proxy, such as https://host-1.example.com (default: what it listens on)
  --heartbeat SECONDS       seconds between two signs of life (default: 30)
  --supervisor FILE         bundle of the supervisor (default: the one that belongs to this agent)
  --log-level LEVEL         debug, info, warn or error (default: warn)
  --warm N                  sandboxes that are kept ready for each usual kind of start, so that a new one need not wait
                            for its boot; 0 keeps none (default: 2)
  --egress-ports LIST       ports that sandboxes which may reach the internet can use (default: 80,443)
  --egress-allow LIST       HOST:PORT of servers that such sandboxes may reach although they are not public
  --egress-dns LIST         name servers, IP[:PORT], that are asked for them (default: the machine's)
  --template-cache MB       files of templates that are kept on this machine, packed, so that the next sandbox from a
                            template need not fetch them (default: 2048)
  --no-disk-quota           keep the files of new sandboxes in plain folders, whose size nothing limits, instead of
                            mounting a disk of its own for each (which needs root and mkfs.ext4)
  --insecure-no-isolation   run commands without any isolation, as this user; only for trying things out
  --help                    show this text
  --version                 show the version
`;

/** Each takes some 45 MiB of memory. */
const MOST_WARM = 100;
const MIB = 1024 * 1024;
const MOST_CACHE_MB = 10 * MIB;

export const VERSION = "0.1.0";

export type Config = {
  control: string;
  token: string | undefined;
  state: string | undefined;
  listen: string;
  port: number | undefined;
  address: string | undefined;
  heartbeatMs: number;
  supervisor: string | undefined;
  logLevel: string;
  insecure: boolean;
  diskQuota: boolean;
  warm: number;
  egress: EgressSettings;
  cacheBytes: number;
};

/** A mistake in how the program was started; its message is for the person who did. */
export class UsageError extends Error {}

/** Reads the command line; a string is to be printed instead of running. */
export function readConfig(args: string[], env: NodeJS.ProcessEnv): Config | string {
  const values = parse(args);
  if (values.help) return HELP;
  if (values.version) return `${VERSION}\n`;
  if (!values.control || !URL.canParse(values.control) || !/^https?:/.test(values.control)) {
    throw new UsageError("--control must be the http or https address of the control plane");
  }
  return {
    control: values.control.replace(/\/+$/, ""),
    token: values.token ?? env.LONGSHORE_HOST_TOKEN,
    state: values.state,
    listen: values.listen ?? "127.0.0.1",
    port: number(values.port, "--port", 65_535),
    address: values.address,
    heartbeatMs: (number(values.heartbeat, "--heartbeat", 3600) ?? 30) * SECOND,
    supervisor: values.supervisor,
    logLevel: values["log-level"] ?? "warn",
    insecure: values["insecure-no-isolation"] ?? false,
    diskQuota: !values["no-disk-quota"],
    warm: number(values.warm, "--warm", MOST_WARM) ?? 2,
    egress: readEgress(values["egress-ports"], values["egress-allow"], values["egress-dns"]),
    cacheBytes: (number(values["template-cache"], "--template-cache", MOST_CACHE_MB) ?? 2048) * MIB,
  };
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args,
      options: {
        ...{ control: text, token: text, state: text, listen: text, port: text, address: text },
        ...{ heartbeat: text, supervisor: text, "log-level": text, warm: text, "template-cache": text },
        ...{ "egress-ports": text, "egress-allow": text, "egress-dns": text },
        ...{ "insecure-no-isolation": flag, "no-disk-quota": flag, help: flag, version: flag },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : "unknown option");
  }
}

function readEgress(ports: string | undefined, allow: string | undefined, dns: string | undefined): EgressSettings {
  const listed = items(ports).map((port) => number(port, "--egress-ports", 65_535) ?? 0);
  const servers = items(dns);
  if (servers.some((server) => !isIP(server.replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1")))) {
    throw new UsageError("--egress-dns must list addresses, each with a port if it is not 53");
  }
  return {
    ports: new Set(listed.length > 0 ? listed : DEFAULT_EGRESS_PORTS),
    allow: new Set(items(allow)),
    dns: servers,
  };
}

const items = (list = ""): string[] => list.split(",").flatMap((item) => item.trim().toLowerCase() || []);

function number(text: string | undefined, option: string, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > most) throw new UsageError(`${option} must be a number up to ${most}`);
  return value;
}
