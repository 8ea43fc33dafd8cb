// Runs inside a sandbox: tries to get out of it, and into another one that is named in the targets. It prints a list of
// { name, expected, ok, saw } as JSON; `ok` says that what was expected happened.
import { execFileSync, spawnSync } from "node:child_process";
import * as dns from "node:dns/promises";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";

const { targets, calls } = JSON.parse(fs.readFileSync("probe.json", "utf8"));
const results = [];

function record(name, expected, ok, saw) {
  results.push({ name, expected, ok, saw: String(saw).slice(0, 200) });
}

/** What must fail: `act` throws, or returns something empty. */
function blocked(name, act) {
  try {
    const got = act();
    const isEmpty = got === undefined || got === "" || got === false || (Array.isArray(got) && got.length === 0);
    record(name, "blocked", isEmpty && got !== undefined, got);
  } catch (error) {
    record(name, "blocked", true, error.code ?? error.message);
  }
}

/** What works but gives nothing away: `isHarmless` judges what was seen. */
function harmless(name, act, isHarmless = () => true) {
  try {
    const got = act();
    record(name, "harmless", isHarmless(got), got ?? "done");
  } catch (error) {
    record(name, "harmless", true, error.code ?? error.message);
  }
}

const read = (path) => fs.readFileSync(path, "latin1");
const open = (path) => fs.closeSync(fs.openSync(path, "r+")) ?? "opened";
const sh = (line) => execFileSync("/bin/sh", ["-c", line], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const pids = () => fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));

function systemCalls() {
  for (const [index, { name, program, refusals }] of calls.entries()) {
    const file = `./call-${index}`;
    fs.writeFileSync(file, Buffer.from(program, "base64"), { mode: 0o755 });
    const { status, signal } = spawnSync(file, { timeout: 5000 });
    record(name, "blocked", refusals.includes(signal ?? status), signal ?? `errno ${status}`);
    fs.rmSync(file);
  }
}

function files() {
  for (const path of ["/etc/shadow", "/etc/ssh", "/root", "/home", "/var", "/sys", "/boot", "/srv"]) {
    blocked(`seeing ${path}`, () => fs.existsSync(path));
  }
  for (const path of targets.hostPaths) blocked("seeing a folder of the host agent", () => fs.existsSync(path));
  for (const name of ["mem", "kmem", "port", "kmsg", "kvm", "fuse", "vsock", "vda", "sda", "loop0", "loop-control"]) {
    blocked(`seeing /dev/${name}`, () => fs.existsSync(`/dev/${name}`));
  }
  for (const folder of ["/", "/usr", "/usr/bin", "/etc", "/opt", "/opt/longshore", "/dev", "/lib"]) {
    blocked(`writing to ${folder}`, () => fs.writeFileSync(`${folder}/.probe`, "x") ?? "written");
  }
  blocked("replacing the supervisor", () => open("/opt/longshore/supervisor.mjs"));
  blocked("replacing the shell", () => open("/bin/sh"));
  blocked("making a block device", () => sh("mknod disk b 254 0 && echo made"));
  blocked("making a character device", () => sh("mknod mem c 1 1 && echo made"));
  blocked("giving a file to root", () => fs.writeFileSync("mine", "x") ?? fs.chownSync("mine", 0, 0) ?? "given");
  blocked("a hard link to a file of the system", () => fs.linkSync("/usr/bin/env", "linked") ?? "linked");
  blocked("a symlink to a file of the host", () => fs.symlinkSync("/etc/shadow", "shadow") ?? read("shadow"));
  blocked("programs that run as somebody else", () => {
    fs.copyFileSync("/usr/bin/id", "id");
    fs.chmodSync("id", 0o6755);
    return sh("./id -u").trim() === "1000" ? "" : "changed";
  });
  harmless(
    "the list of users names the sandbox's own",
    () => read("/etc/passwd").trim().split("\n"),
    (users) => users.every((user) => ["0", "1000", "65534"].includes(user.split(":")[2])),
  );
  harmless("writing to /run", () => fs.writeFileSync("/run/probe", "x"));
  harmless("making a named pipe", () => sh("mkfifo pipe"));
}

function kernel() {
  const settings = ["core_pattern", "hostname", "modprobe", "unprivileged_bpf_disabled", "kptr_restrict"];
  for (const name of settings) blocked(`setting kernel.${name}`, () => open(`/proc/sys/kernel/${name}`));
  blocked("choosing the next process id", () => fs.writeFileSync("/proc/sys/kernel/ns_last_pid", "9999") ?? "chosen");
  blocked("setting vm.overcommit_memory", () => open("/proc/sys/vm/overcommit_memory"));
  blocked("setting fs.protected_symlinks", () => open("/proc/sys/fs/protected_symlinks"));
  for (const name of ["sysrq-trigger", "kcore", "kmsg", "timer_list"])
    blocked(`opening /proc/${name}`, () => open(`/proc/${name}`));
  blocked("reading the kernel's log", () => read("/proc/kmsg"));
  blocked("reading the kernel's symbols", () => read("/proc/kallsyms"));
  blocked("reading the kernel's configuration", () => read("/proc/config.gz"));
  blocked("raising the limit of open files", () => sh("ulimit -Hn 4096 && echo raised"));
  blocked("raising the limit of processes", () => sh("ulimit -Hu 100000 && echo raised"));
  blocked("lowering its own badness", () => fs.writeFileSync("/proc/self/oom_score_adj", "-1000") ?? "lowered");
  blocked("a higher priority", () => os.setPriority(0, -20) ?? "raised");
  const status = read("/proc/self/status");
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    blocked(`capabilities (${set})`, () => !new RegExp(`^${set}:\\s+0+$`, "m").test(status));
  }
  blocked("gaining privileges by exec", () => !/^NoNewPrivs:\s+1$/m.test(status));
  blocked("running without a system call filter", () => !/^Seccomp:\s+2$/m.test(status));
  blocked(
    "running as the host's root",
    () => process.getuid() === 0 || /^\s*0\s+0\s/m.test(read("/proc/self/uid_map")),
  );
  blocked("widening its map of users", () => fs.writeFileSync("/proc/self/uid_map", "0 0 1") ?? "widened");
  harmless(
    "its mounts name no folder of the host's sandboxes",
    () => read("/proc/self/mountinfo"),
    (text) => !text.includes(targets.otherId) && !targets.hostSecrets.some((secret) => text.includes(secret)),
  );
  harmless(
    "the list of keys",
    () => read("/proc/keys"),
    (text) => text.trim() === "",
  );
}

function processes() {
  blocked("seeing processes of the host", () => pids().length > 12);
  blocked("the environment of the first process", () => read("/proc/1/environ"));
  harmless(
    "command lines",
    () =>
      pids()
        .map((pid) => read(`/proc/${pid}/cmdline`))
        .join(" "),
    (text) => !targets.hostSecrets.some((secret) => text.includes(secret)),
  );
  harmless(
    "the first process's root",
    () => fs.readdirSync("/proc/1/root").sort().join(),
    (names) => names === fs.readdirSync("/").sort().join(),
  );
  harmless("ending the first process", () => process.kill(1, "SIGTERM"));
  for (const pid of targets.hostPids)
    blocked("signalling a process of the host by its number", () => process.kill(pid, 0));
  blocked("descriptors that leak in", () =>
    sh("ls /proc/$$/fd")
      .split("\n")
      .filter((name) => Number(name) > 2 && fs.existsSync(`/proc/self/fd/${name}`)),
  );
}

const reaches = (options) =>
  new Promise((resolve) => {
    const socket = net.connect(options);
    const end = (saw) => {
      socket.destroy();
      resolve(saw);
    };
    socket.once("connect", () => end("connected")).once("error", (error) => end(error.code));
    setTimeout(() => end("silence"), 1500).unref();
  });

/** The status that the sandbox's own proxy answers. */
const throughProxy = (authority) =>
  new Promise((resolve) => {
    const socket = net.connect(3128, "127.0.0.1", () => socket.write(`CONNECT ${authority} HTTP/1.1\r\n\r\n`));
    socket.once("data", (bytes) => {
      socket.destroy();
      resolve(bytes.toString("latin1", 9, 12));
    });
    socket.once("error", (error) => resolve(error.code));
    setTimeout(() => resolve("silence"), 10_000).unref();
  });

async function network() {
  const tries = {
    "a port of the host, by loopback": { host: "127.0.0.1", port: targets.port },
    "a port of the host, by IPv6 loopback": { host: "::1", port: targets.port },
    "the host agent": { host: "127.0.0.1", port: targets.agentPort },
    "a port of the host, by its address": { host: targets.address, port: targets.port },
    "the metadata service of a cloud": { host: "169.254.169.254", port: 80 },
    "the internet": { host: "1.1.1.1", port: 443 },
    "the internet by IPv6": { host: "2606:4700:4700::1111", port: 443 },
    "an abstract socket of the host": { path: `\0${targets.abstractSocket}` },
    "a port of another sandbox": { host: "127.0.0.1", port: targets.otherPort },
    "an abstract socket of another sandbox": { path: `\0${targets.otherSocket}` },
    "a socket file of another sandbox": { path: `/run/${targets.otherSocket}` },
  };
  for (const [name, options] of Object.entries(tries)) {
    const saw = await reaches(options);
    record(`connecting to ${name}`, "blocked", saw !== "connected", saw);
  }
  for (const authority of [
    `127.0.0.1:${targets.port}`,
    `localhost:${targets.port}`,
    `[::1]:${targets.port}`,
    `[::ffff:127.0.0.1]:${targets.port}`,
    `${targets.address}:${targets.port}`,
    `127.0.0.1:${targets.agentPort}`,
    `${targets.address}:${targets.agentPort}`,
    "169.254.169.254:80",
    "168.63.129.16:80",
    "metadata.google.internal:80",
    "[fd00:ec2::254]:80",
  ]) {
    const saw = await throughProxy(authority);
    record(`reaching ${authority} through the proxy`, "blocked", ["403", "502"].includes(saw), saw);
  }
  blocked("the socket of another sandbox's proxy", () => targets.proxies.filter((path) => fs.existsSync(path)));
  const answer = await dns.lookup("example.com").catch((error) => error.code);
  record("resolving a name", "blocked", typeof answer === "string", JSON.stringify(answer));
  blocked("network interfaces beyond loopback", () =>
    Object.keys(os.networkInterfaces()).filter((name) => name !== "lo"),
  );
  blocked("routes to anywhere", () => read("/proc/net/route").trim().split("\n").slice(1));
}

function neighbour() {
  blocked("finding a file of another sandbox", () => sh(`find / -name '${targets.otherFile}' 2>/dev/null || true`));
  blocked("its shared memory file", () => read(`/dev/shm/${targets.otherFile}`));
  blocked("its temporary file", () => read(`/tmp/${targets.otherFile}`));
  blocked("its processes", () => pids().filter((pid) => read(`/proc/${pid}/cmdline`).includes(targets.otherWord)));
  blocked("its environment", () =>
    pids().filter((pid) => {
      try {
        return read(`/proc/${pid}/environ`).includes(targets.otherWord);
      } catch {
        return false;
      }
    }),
  );
  blocked("its SysV objects", () =>
    ["shm", "sem", "msg"].flatMap((kind) => read(`/proc/sysvipc/${kind}`).trim().split("\n").slice(1)),
  );
  blocked("its message queues", () => fs.readdirSync("/dev/mqueue"));
}

systemCalls();
files();
kernel();
processes();
await network();
neighbour();
process.stdout.write(JSON.stringify(results));
