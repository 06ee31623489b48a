# `@ethereumjs/client`, an execution client in JavaScript, for the chain of compose.yaml that is held at Electra. Its packages
# bring the Node that they are made for.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
WORKDIR /client
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm
COPY tests/system/js/execution/package.json tests/system/js/execution/package-lock.json ./
# Node has authorities of its own; those of the system may be more.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
RUN npm ci --no-audit --no-fund --loglevel=error

FROM ${BASE}
# Node is C++. The user is the one of the other images: it has to read the secret.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgcc-s1 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 wren \
    && useradd --system --uid 10001 --gid wren --home-dir /var/lib/execution --shell /usr/sbin/nologin wren \
    && install -d -o wren -g wren -m 0750 /var/lib/execution
COPY --from=build /client /usr/share/execution
USER wren
VOLUME ["/var/lib/execution"]
ENTRYPOINT ["/usr/share/execution/node_modules/.bin/node", "/usr/share/execution/node_modules/@ethereumjs/client/dist/esm/bin/cli.js"]
CMD ["--gethGenesis=/volumes/network/net/genesis.json", "--dataDir=/var/lib/execution", \
    "--rpcEngine", "--rpcEngineAddr=0.0.0.0", "--rpcEnginePort=8551", "--rpcEngineAuth", \
    "--jwtSecret=/volumes/network/net/jwt.hex", \
    "--isSingleNode", "--port=0", "--extIP=127.0.0.1", "--maxPeers=0", "--discDns=false", "--discV4=false"]
