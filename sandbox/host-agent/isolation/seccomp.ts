/** Classic BPF, the form in which the kernel takes system call filters. */
const LOAD = 0x20;
const EQUAL = 0x15;
const AT_LEAST = 0x35;
const ANY_BIT = 0x45;
const RETURN = 0x06;

const ALLOW = 0x7fff_0000;
const KILL = 0x8000_0000;
const fail = (errno: number) => 0x0005_0000 | errno;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** Offsets in `struct seccomp_data`. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENT_0 = 16;
const ARGUMENT_1 = 24;

const X86_64 = 0xc000_003e;
const X32_BIT = 0x4000_0000;
const CLONE = 56;
const CLONE3 = 435;
const IOCTL = 16;
const SOCKET = 41;
const SOCKETPAIR = 53;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NEW_NAMESPACES = 0x7e02_0000;
/** TIOCSTI and TIOCLINUX: both put input into a terminal. */
const TERMINAL_INPUT = [0x5412, 0x541c];
/** UNIX, INET, INET6 and NETLINK. Others, AF_VSOCK above all, are not confined by a network namespace. */
const SOCKET_DOMAINS = [1, 2, 10, 16];

/** System calls of x86-64 that a sandbox never needs and that have led out of sandboxes. */
const REFUSED = {
  modules: [174, 175, 176, 313],
  mounts: [161, 165, 166, 155, 428, 429, 430, 431, 432, 433, 442, 457, 458],
  namespaces: [272, 308],
  otherProcesses: [101, 310, 311, 312, 438, 440],
  keys: [248, 249, 250],
  kernelMachinery: [298, 321, 323, 425, 426, 427, 460],
  handles: [303, 304, 300, 301],
  clocks: [159, 164, 227, 305],
  machine: [163, 167, 168, 169, 172, 173, 246, 320, 153, 170, 171],
  memoryPolicy: [237, 238, 239, 256, 279],
  administration: [103, 135, 179, 443, 212],
  obsolete: [134, 136, 139, 156, 180],
};

type Instruction = { code: number; value: number; ifTrue: number; ifFalse: number };

const step = (code: number, value: number, ifTrue = 0, ifFalse = 0): Instruction => ({ code, value, ifTrue, ifFalse });

/** Whether this machine's system calls are the ones the filter knows. */
export const canFilter = (): boolean => process.arch === "x64";

/** The filter as bytes for `bwrap --seccomp`. */
export function seccompFilter(): Buffer {
  const program = [
    step(LOAD, ARCHITECTURE),
    step(EQUAL, X86_64, 1, 0),
    step(RETURN, KILL),
    step(LOAD, NUMBER),
    step(AT_LEAST, X32_BIT, 0, 1),
    step(RETURN, KILL),
    ...Object.values(REFUSED)
      .flat()
      .flatMap((number) => [step(EQUAL, number, 0, 1), step(RETURN, fail(EPERM))]),
    // ENOSYS makes the C library fall back to clone, whose flags the filter can see.
    step(EQUAL, CLONE3, 0, 1),
    step(RETURN, fail(ENOSYS)),
    ...whenCalled(CLONE, [
      step(LOAD, ARGUMENT_0),
      step(ANY_BIT, NEW_NAMESPACES, 0, 1),
      step(RETURN, fail(EPERM)),
      step(RETURN, ALLOW),
    ]),
    ...whenCalled(IOCTL, onlyUnless(ARGUMENT_1, TERMINAL_INPUT, fail(EPERM), ALLOW)),
    ...[SOCKET, SOCKETPAIR].flatMap((number) =>
      whenCalled(number, onlyUnless(ARGUMENT_0, SOCKET_DOMAINS, ALLOW, fail(EAFNOSUPPORT))),
    ),
    step(RETURN, ALLOW),
  ];
  return encode(program);
}

const whenCalled = (number: number, body: Instruction[]) => [step(EQUAL, number, 0, body.length), ...body];

/** Ends with `listed` if the argument is one of the values, else with `otherwise`. */
function onlyUnless(argument: number, values: number[], listed: number, otherwise: number): Instruction[] {
  const tests = values.map((value, index) => step(EQUAL, value, values.length - index, 0));
  return [step(LOAD, argument), ...tests, step(RETURN, otherwise), step(RETURN, listed)];
}

function encode(program: Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, { code, value, ifTrue, ifFalse }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
