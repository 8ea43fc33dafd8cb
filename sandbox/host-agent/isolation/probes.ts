import { syscallProgram } from "./elf.ts";

const AF_PACKET = 17;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_RAW = 3;
const CLONE_NEWUSER = 0x1000_0000;

/** System calls that must fail inside, by the name of their program. */
export const SYSCALL_PROBES: Record<string, { what: string; program: Buffer }> = {
  userns: { what: "a nested user namespace can be made", program: syscallProgram(272, CLONE_NEWUSER) },
  vsock: {
    what: "sockets of the virtual machine can be opened",
    program: syscallProgram(41, AF_VSOCK, SOCK_STREAM, 0),
  },
  packet: { what: "raw network sockets can be opened", program: syscallProgram(41, AF_PACKET, SOCK_RAW, 0) },
  ptrace: { what: "processes can be traced", program: syscallProgram(101, 0, 0, 0) },
  mount: { what: "file systems can be mounted", program: syscallProgram(165, 0, 0, 0, 0) },
  chroot: { what: "the root directory can be changed", program: syscallProgram(161, 0) },
  keyctl: { what: "the kernel's keyring can be used", program: syscallProgram(250, 0, 0) },
};

/** What the probes try to reach outside. */
export type ProbeTargets = { port: number; abstractSocket: string; hostPaths: string[] };

/**
 * The program that runs inside: it answers with the list of what it was able to do, as JSON. An empty list is the only
 * good answer. It is plain text for Node, so that the bundle needs no second entry.
 */
export function probeScript(targets: ProbeTargets): string {
  const syscalls = Object.fromEntries(Object.entries(SYSCALL_PROBES).map(([name, { what }]) => [name, what]));
  return `
const fs = require("node:fs"), net = require("node:net"), os = require("node:os");
const { spawnSync } = require("node:child_process");
const T = ${JSON.stringify(targets)}, SYSCALLS = ${JSON.stringify(syscalls)}, EPERM = 1, EAFNOSUPPORT = 97;
const found = [];
const check = (what, escaped) => { if (escaped) found.push(what); };
const works = (act) => { try { act(); return true; } catch { return false; } };
const read = (path) => { try { return fs.readFileSync(path, "latin1"); } catch { return ""; } };
const reaches = (options) => new Promise((resolve) => {
  const socket = net.connect(options);
  socket.once("connect", () => { socket.destroy(); resolve(true); });
  socket.once("error", () => resolve(false));
  setTimeout(() => { socket.destroy(); resolve(false); }, 1000);
});
// The proxy's own words, or nothing where there is no proxy.
const throughProxy = (target) => new Promise((resolve) => {
  const socket = net.connect(3128, "127.0.0.1", () => socket.write("CONNECT " + target + " HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n"));
  socket.once("data", (bytes) => { socket.destroy(); resolve(bytes.toString("latin1")); });
  socket.once("error", () => resolve(""));
  setTimeout(() => { socket.destroy(); resolve("silence"); }, 5000);
});
(async () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0", "10.0.0.1"]) {
    const answer = await throughProxy(host + ":80");
    check("the proxy leads to " + host, answer !== "" && !["403", "502"].includes(answer.slice(9, 12)));
  }
  check("a port of the host can be reached", await reaches({ port: T.port, host: "127.0.0.1" }));
  check("an abstract socket of the host can be reached", await reaches({ path: "\\0" + T.abstractSocket }));
  check("network interfaces of the host are visible", Object.keys(os.networkInterfaces()).some((name) => name !== "lo"));
  check("/etc/shadow is visible", fs.existsSync("/etc/shadow"));
  check("folders of the host are visible", T.hostPaths.some((path) => fs.existsSync(path)));
  const pids = fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  check("processes of the host are visible", pids.length > 8);
  check("the first process has an environment", read("/proc/1/environ") !== "");
  const status = read("/proc/self/status");
  const field = (name) => (new RegExp("^" + name + ":\\\\s+(\\\\S+)", "m").exec(status) || [])[1];
  for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"]) check("there are capabilities: " + set, !/^0+$/.test(field(set)));
  check("privileges can be gained", field("NoNewPrivs") !== "1");
  check("there is no system call filter", field("Seccomp") !== "2");
  for (const path of ["/usr/.probe", "/etc/.probe", "/opt/.probe", "/dev/.probe"]) {
    check("system folders can be written: " + path, works(() => fs.writeFileSync(path, "")));
  }
  for (const path of ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/hostname"]) {
    check("the kernel can be configured: " + path, works(() => fs.closeSync(fs.openSync(path, "w"))));
  }
  for (const path of ["/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/vsock", "/dev/vda", "/dev/sda"]) {
    check("a device is visible: " + path, fs.existsSync(path));
  }
  const list = spawnSync("/bin/sh", ["-c", "for f in /proc/$$/fd/*; do [ -L $f ] && echo \${f##*/}; done"]).stdout.toString();
  check("descriptors leak in: " + list.trim().split("\\n"), list.trim().split("\\n").some((fd) => Number(fd) > 2));
  for (const [name, what] of Object.entries(SYSCALLS)) {
    const { status: errno } = spawnSync("./" + name);
    check(what + " (errno " + errno + ")", errno !== EPERM && errno !== EAFNOSUPPORT);
  }
  process.stdout.write(JSON.stringify(found));
})();
`;
}
