import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

const [HEADER_BYTES, TYPE_A, NAME_ERROR, TTL_SECONDS] = [12, 1, 3, 60];

/** A name server that knows IPv4 addresses of some names, by UDP on 127.0.0.1. Each answer may be another one. */
export class NameServer {
  readonly asked: string[] = [];
  readonly #names: Record<string, () => string[]>;
  readonly #socket: Socket = createSocket("udp4");

  constructor(names: Record<string, () => string[]>) {
    this.#names = names;
    this.#socket.on("message", (query, { port, address }) => this.#socket.send(this.#answer(query), port, address));
  }

  static async start(names: Record<string, () => string[]>): Promise<NameServer> {
    const server = new NameServer(names);
    server.#socket.bind(0, "127.0.0.1");
    await once(server.#socket, "listening");
    return server;
  }

  get address(): string {
    return `127.0.0.1:${(this.#socket.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer {
    const labels: string[] = [];
    let at = HEADER_BYTES;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join(".").toLowerCase();
    const isA = query.readUInt16BE(at + 1) === TYPE_A;
    const known = this.#names[name];
    if (isA) this.asked.push(name);
    const addresses = isA ? (known?.() ?? []) : [];
    const header = Buffer.from(query.subarray(0, HEADER_BYTES));
    header.writeUInt16BE(0x8180 | (known ? 0 : NAME_ERROR), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    header.writeUInt32BE(0, 8);
    const records = addresses.map((address) => {
      const record = Buffer.alloc(16);
      record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
      record.writeUInt16BE(TYPE_A, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(TTL_SECONDS, 6);
      record.writeUInt16BE(4, 10);
      record.set(address.split(".").map(Number), 12);
      return record;
    });
    return Buffer.concat([header, query.subarray(HEADER_BYTES, at + 5), ...records]);
  }
}
