import { createServer } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";

/**
 * The way into a container's ports that the local Workers runtime starts beside each container, in its network: it accepts
 * CONNECT and dials the port named by `X-Dst-Addr`. It intercepts nothing on the way out. Stands in for Cloudflare's own
 * image where that cannot be pulled.
 */
const at = process.argv.indexOf("--http-ingress-address");
const [, host = "0.0.0.0", port = "0"] = /^(.*):(\d+)$/.exec(process.argv[at + 1] ?? "") ?? [];

const server = createServer((request, response) => {
  request.resume();
  const isKnown = ["GET /ca", "PUT /egress"].includes(`${request.method} ${request.url}`);
  response.writeHead(isKnown ? 200 : 404).end();
});

server.on("connect", (request, socket: Duplex, head: Buffer) => {
  const target = Number(/:(\d+)$/.exec(String(request.headers["x-dst-addr"] ?? ""))?.[1]);
  const inside = connect({ host: "127.0.0.1", port: target, allowHalfOpen: true });
  let isOpen = false;
  inside.once("connect", () => {
    isOpen = true;
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    inside.write(head);
    inside.pipe(socket);
    socket.pipe(inside);
  });
  inside.on("error", () => (isOpen ? socket.destroy() : socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")));
  socket.on("error", () => inside.destroy());
});

server.listen(Number(port), host.replace(/^\[(.*)\]$/, "$1") || "0.0.0.0");
process.once("SIGTERM", () => process.exit(0));
