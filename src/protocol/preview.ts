/**
 * How a request to a port of a sandbox travels to the host agent: as itself, below `/v1/sandboxes/{id}/ports/{port}`.
 * What the way there would lose or change is told in headers of its own, and put back by the agent. `answer` marks what the
 * program behind the port answered; an answer without it is the agent's, or of something in between.
 */
export const PREVIEW_HEADERS = {
  host: "x-preview-host",
  proto: "x-preview-proto",
  client: "x-preview-client",
  authorization: "x-preview-authorization",
  encoding: "x-preview-accept-encoding",
  answer: "x-preview-answer",
} as const;

/** Headers that only concern one connection, or that something on the way writes. */
const ONE_HOP = [
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "expect"],
];
const WRITTEN_ON_THE_WAY = /^(cf-|cdn-loop$|x-forwarded-|x-real-ip$|true-client-ip$|forwarded$|via$|x-preview-)/;

/** Whether a header, in lower case, is between the caller and the program behind the port. */
export const isEndToEnd = (name: string): boolean => !ONE_HOP.includes(name) && !WRITTEN_ON_THE_WAY.test(name);
