# The image of a sandbox that the class of @cloudflare/sandbox holds: its server, and our agent, which that one starts. The
# version is that of the package. Its build context is dist/sandbox.
FROM docker.io/cloudflare/sandbox:0.12.10

RUN apt-get update && \
  apt-get install -y --no-install-recommends ca-certificates git python3 curl jq procps util-linux && \
  rm -rf /var/lib/apt/lists/*

# The one user whose processes are the sandbox's.
RUN sed -i '/^[^:]*:[^:]*:1000:/d' /etc/passwd /etc/group && \
  echo 'sandbox:x:1000:1000::/workspace:/bin/sh' >> /etc/passwd && \
  echo 'sandbox:x:1000:' >> /etc/group && \
  install -d -o 1000 -g 1000 /workspace

COPY --from=docker.io/library/node:24-bookworm-slim /usr/local/bin/node /opt/longshore/node
COPY container-agent.mjs supervisor.mjs pty.node /opt/longshore/
