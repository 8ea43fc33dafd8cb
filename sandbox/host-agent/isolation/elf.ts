const BASE = 0x40_0000;
const HEADERS = 64 + 56;
/** Registers of a system call's first five arguments: their `mov r, imm64` opcodes. */
const ARGUMENT_OPCODES = ["48bf", "48be", "48ba", "49ba", "49b8"];

/**
 * A Linux program for x86-64 that makes one system call and ends with its errno as exit code, 0 when it succeeded.
 * It asks the kernel itself whether something is possible, whatever tools the sandbox has.
 */
export function syscallProgram(number: number, ...args: number[]): Buffer {
  const code = Buffer.concat([
    ...args.map((value, index) => Buffer.concat([Buffer.from(ARGUMENT_OPCODES[index] ?? "", "hex"), u64(value)])),
    Buffer.from("b8", "hex"),
    u32(number),
    Buffer.from("0f05", "hex"), // syscall
    Buffer.from("4885c0", "hex"), // test rax, rax
    Buffer.from("7902", "hex"), // jns: a result of zero or more is success
    Buffer.from("eb02", "hex"), // jmp over the next instruction
    Buffer.from("31c0", "hex"), // xor eax, eax
    Buffer.from("f7d8", "hex"), // neg eax
    Buffer.from("89c7", "hex"), // mov edi, eax
    Buffer.from("b83c0000000f05", "hex"), // exit(edi)
  ]);
  const size = HEADERS + code.length;
  return Buffer.concat([fileHeader(), segment(size), code]);
}

function fileHeader(): Buffer {
  const header = Buffer.alloc(64);
  header.write("7f454c4602010100", 0, "hex");
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(62, 18); // for x86-64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(BASE + HEADERS), 24); // entry point
  header.writeBigUInt64LE(64n, 32); // the segment table follows
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  return header;
}

function segment(size: number): Buffer {
  const header = Buffer.alloc(56);
  header.writeUInt32LE(1, 0); // to be loaded
  header.writeUInt32LE(5, 4); // readable and executable
  header.writeBigUInt64LE(BigInt(BASE), 16);
  header.writeBigUInt64LE(BigInt(BASE), 24);
  header.writeBigUInt64LE(BigInt(size), 32);
  header.writeBigUInt64LE(BigInt(size), 40);
  header.writeBigUInt64LE(0x1000n, 48);
  return header;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
