import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { COPY, STAGE, sourceIn, TIDY, UNPACK } from "#domain/build/archive";

type Entry = { name: string; text?: string; type?: string; link?: string };

/** One tar, with whatever names are asked for. */
function tarOf(...entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ name, text = "", type = "0", link = "" }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write("0000644\0" + "0001750\0" + "0001750\0", 100);
    header.write(`${text.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write(`00000000000\0${" ".repeat(8)}${type}`, 136);
    header.write(link, 157, 100);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    const body = Buffer.alloc(Math.ceil(text.length / 512) * 512);
    body.write(text);
    return [header, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** One zip of stored files, with whatever names are asked for; `mode` makes a file a link. */
function zipOf(...entries: (Entry & { mode?: number })[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const { name, text = "", mode = 0o100644 } of entries) {
    const body = Buffer.from(text);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(body), 10);
    common.writeUInt32LE(body.length, 14);
    common.writeUInt32LE(body.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), body]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((mode << 16) >>> 0, 6);
    tail.writeUInt32LE(at, 10);
    central.push(Buffer.from("PK\x01\x02"), Buffer.from([20, 3]), common, tail, Buffer.from(name));
    locals.push(local);
    at += local.length;
  }
  const end = Buffer.alloc(18);
  const directory = Buffer.concat(central);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...locals, directory, Buffer.from("PK\x05\x06"), end]);
}

let home: string;
const stage = (...rest: string[]) => join(home, STAGE, ...rest);
const sh = (script: string, ...args: string[]) =>
  spawnSync("sh", ["-c", script, "sh", ...args], { env: { PATH: process.env.PATH, HOME: home }, encoding: "utf8" });
function unpack(archive: Uint8Array) {
  mkdirSync(stage(), { recursive: true });
  writeFileSync(stage("archive"), archive);
  return sh(UNPACK);
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "build-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const GOOD: Entry[] = [
  { name: "app/", type: "5" },
  { name: "app/a.txt", text: "hello" },
  { name: "..hidden", text: "x" },
];

describe("an archive", () => {
  test.for<[string, Buffer]>([
    ["a tar", tarOf(...GOOD, { name: "app/link", type: "2", link: "a.txt" })],
    ["a tar.gz", gzipSync(tarOf(...GOOD))],
    ["a zip", zipOf({ name: "app/a.txt", text: "hello" }, { name: "..hidden", text: "x" })],
  ])("that is %s is unpacked", ([, archive]) => {
    expect(unpack(archive)).toMatchObject({ status: 0, stdout: "2 files\n" });
    expect(readFileSync(stage("files/app/a.txt"), "utf8")).toBe("hello");
    expect(readdirSync(stage())).toEqual(["files"]);
    expect(sh(TIDY).status).toBe(0);
    expect(existsSync(stage())).toBe(false);
  });

  const LINK = 0o120777;
  test.for<[string, Buffer]>([
    ["a name that leads upwards", tarOf({ name: "../evil", text: "x" })],
    ["one that does in the middle", tarOf({ name: "a/../../evil", text: "x" })],
    ["an absolute name", tarOf({ name: "/tmp/evil", text: "x" })],
    ["an absolute link", tarOf({ name: "l", type: "2", link: "/etc" })],
    ["a link that leads upwards", tarOf({ name: "l", type: "2", link: "../.." })],
    ["a file behind a link", tarOf({ name: "l", type: "2", link: "../.." }, { name: "l/evil", text: "x" })],
    ["a hard link to what is outside", tarOf({ name: "h", type: "1", link: "../../secret" })],
    ["a FIFO", tarOf({ name: "f", type: "6" })],
    ["a device", tarOf({ name: "d", type: "3" })],
    ["a zip name that leads upwards", zipOf({ name: "../evil", text: "x" })],
    ["a zip name of another system", zipOf({ name: "..\\evil", text: "x" })],
    ["an absolute zip name", zipOf({ name: "/tmp/evil", text: "x" })],
    ["a link in a zip", zipOf({ name: "l", text: "/etc", mode: LINK })],
    ["nothing that is an archive", Buffer.from("just text ".repeat(100))],
    ["a gzip that is cut", gzipSync(tarOf({ name: "a", text: "x".repeat(5000) })).subarray(0, 40)],
    ["a zip that is cut", zipOf({ name: "a", text: "x" }).subarray(0, 30)],
  ])("with %s is refused as a whole (H7)", ([, archive]) => {
    writeFileSync(join(home, "secret"), "secret");
    const { status, stderr } = unpack(archive);
    expect(status).not.toBe(0);
    expect(stderr).not.toBe("");
    expect(readdirSync(home).sort()).toEqual([STAGE, "secret"]);
    expect(existsSync("/tmp/evil")).toBe(false);
  });

  test("that becomes too large is refused before anything is unpacked (H7)", () => {
    mkdirSync(stage());
    execFileSync("sh", ["-c", `head -c 2200000000 /dev/zero | gzip -1 >'${stage("archive")}'`]);
    expect(sh(UNPACK).stderr).toMatch(/too large/);
    expect(existsSync(stage("files"))).toBe(false);
  }, 60_000);
});

describe("COPY", () => {
  beforeEach(() => {
    mkdirSync(stage("files/app/sub"), { recursive: true });
    writeFileSync(stage("files/app/a"), "a");
    writeFileSync(stage("files/app/sub/b"), "b");
    writeFileSync(stage("files/-c"), "c");
    symlinkSync("/etc/hostname", stage("files/app/out"));
  });
  const at = (...rest: string[]) => join(home, ...rest);

  test("copies a file to a name, a folder's content into a folder, and several into one (A12)", () => {
    expect(sh(COPY, at("x/one"), "app/a").status).toBe(0);
    expect(sh(COPY, at("all"), ".").status).toBe(0);
    expect(sh(COPY, at("many"), "app/a", "-c").status).toBe(0);
    expect(sh(COPY, at("folder/"), "app/a").status).toBe(0);
    expect(readFileSync(at("x/one"), "utf8")).toBe("a");
    expect(readFileSync(at("all/app/sub/b"), "utf8")).toBe("b");
    expect(readdirSync(at("many")).sort()).toEqual(["-c", "a"]);
    expect(readdirSync(at("folder"))).toEqual(["a"]);
  });

  test("of what is not there fails", () => expect(sh(COPY, at("x"), "nothing").status).not.toBe(0));

  test("takes from the archive alone", () => {
    expect(["a", "./a//b/", ".", "..x", "a/..b"].map(sourceIn)).toEqual(["a", "a/b", ".", "..x", "a/..b"]);
    expect(["/etc", "..", "a/../..", "a/.."].map(sourceIn)).toEqual([undefined, undefined, undefined, undefined]);
    const words = fc.array(fc.constantFrom("..", ".", "a", "", "b"), { maxLength: 6 });
    fc.assert(
      fc.property(words, (parts) => {
        const source = sourceIn(parts.join("/"));
        expect(source === undefined).toBe(parts.includes("..") || parts.join("/").startsWith("/"));
      }),
    );
  });
});
