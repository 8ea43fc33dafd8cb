import { syscallProgram } from "#sandbox/host-agent/isolation/elf";

/** How a refused call ends: an errno, or the signal by which the kernel kills who makes it. */
const EPERM = 1;
const EINVAL = 22;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;
const KILLED = "SIGSYS";

type Refusal = number | typeof KILLED;
/** One call that must fail inside, as a program that makes it and ends with its errno. */
export type SystemCallCheck = { name: string; program: string; refusals: Refusal[] };

/** Calls of x86-64 by their numbers in the kernel's table; what they are given does not matter to the filter. */
const CALLS: Record<string, number> = {
  ...{ create_module: 174, init_module: 175, delete_module: 176, finit_module: 313 },
  ...{ chroot: 161, mount: 165, umount2: 166, pivot_root: 155, open_tree: 428, move_mount: 429, fsopen: 430 },
  ...{ fsconfig: 431, fsmount: 432, fspick: 433, mount_setattr: 442, statmount: 457, listmount: 458 },
  ...{ unshare: 272, setns: 308, ptrace: 101, process_vm_readv: 310, process_vm_writev: 311, kcmp: 312 },
  ...{ pidfd_getfd: 438, process_madvise: 440, add_key: 248, request_key: 249, keyctl: 250 },
  ...{ perf_event_open: 298, bpf: 321, userfaultfd: 323, io_uring_setup: 425, io_uring_enter: 426 },
  ...{ io_uring_register: 427, lsm_set_self_attr: 460, name_to_handle_at: 303, open_by_handle_at: 304 },
  ...{ fanotify_init: 300, fanotify_mark: 301, adjtimex: 159, settimeofday: 164, clock_settime: 227 },
  ...{ clock_adjtime: 305, acct: 163, swapon: 167, swapoff: 168, reboot: 169, iopl: 172, ioperm: 173 },
  ...{ kexec_load: 246, kexec_file_load: 320, vhangup: 153, sethostname: 170, setdomainname: 171 },
  ...{ mbind: 237, set_mempolicy: 238, get_mempolicy: 239, migrate_pages: 256, move_pages: 279 },
  ...{ syslog: 103, personality: 135, quotactl: 179, quotactl_fd: 443, lookup_dcookie: 212 },
};

const NAMESPACES = {
  ...{ mount: 0x2_0000, cgroup: 0x200_0000, uts: 0x400_0000, ipc: 0x800_0000 },
  ...{ user: 0x1000_0000, pid: 0x2000_0000, net: 0x4000_0000 },
};

const DOMAINS = {
  ...{ key: 15, packet: 17, rds: 21, can: 29, tipc: 30, bluetooth: 31, alg: 38, nfc: 39, vsock: 40 },
  ...{ qipcrtr: 42, smc: 43, xdp: 44 },
};

const [SOCKET, CLONE, IOCTL] = [41, 56, 16];
const [SOCK_STREAM, SOCK_RAW, AF_INET, AF_INET6] = [1, 3, 2, 10];

const call = (name: string, refusals: Refusal[], number: number, ...args: number[]): SystemCallCheck => ({
  name,
  refusals,
  program: syscallProgram(number, ...args).toString("base64"),
});

/** The same program by way of the 32-bit gate, whose calls have other numbers: this one is getpid. */
function throughOldGate(): SystemCallCheck {
  const program = syscallProgram(20);
  program.write("cd80", program.indexOf("0f05", 0, "hex"), "hex");
  return { name: "system calls of 32-bit programs", refusals: [KILLED], program: program.toString("base64") };
}

export const SYSTEM_CALL_CHECKS: SystemCallCheck[] = [
  ...Object.entries(CALLS).map(([name, number]) => call(`system call ${name}`, [EPERM], number)),
  ...Object.entries(NAMESPACES).map(([name, flag]) => call(`clone into a new ${name} namespace`, [EPERM], CLONE, flag)),
  call("clone3, whose flags no filter sees", [ENOSYS], 435),
  ...Object.entries(DOMAINS).map(([name, domain]) =>
    call(`socket of the domain ${name}`, [EAFNOSUPPORT], SOCKET, domain, SOCK_STREAM, 0),
  ),
  call("raw socket of IPv4", [EPERM, EPROTONOSUPPORT], SOCKET, AF_INET, SOCK_RAW, 1),
  call("raw socket of IPv6", [EPERM, EPROTONOSUPPORT], SOCKET, AF_INET6, SOCK_RAW, 58),
  call("typing into a terminal (TIOCSTI)", [EPERM], IOCTL, 0, 0x5412, 0),
  call("typing into the console (TIOCLINUX)", [EPERM], IOCTL, 0, 0x541c, 0),
  call("becoming root (setuid)", [EPERM, EINVAL], 105, 0),
  call("becoming root's group (setgid)", [EPERM, EINVAL], 106, 0),
  call("giving up all groups (setgroups)", [EPERM], 116, 0, 0),
  call("system calls of the x32 kind", [KILLED], 0x4000_0000 + 39),
  throughOldGate(),
];
