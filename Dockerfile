# Wren in an image: the program, its user, a shell, nothing else. Builds on amd64 and arm64 alike; the latter is untried.
#
#   docker build -t wren .
#
# BASE is any Debian 12 or 13 with their security archive in apt's sources. Where no registry can be reached, one made by
# `scripts/testnet base` will do. PROFILE=release builds faster, and FEATURES=minimal for the other preset.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
COPY . .
ARG PROFILE=dist
ARG FEATURES=
# The history is not copied; the caller knows the commit.
ARG WREN_COMMIT=unknown
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates cargo-web clang g++ gcc make rustc-web \
    && rm -rf /var/lib/apt/lists/*
RUN . scripts/lib.sh; need_rust; need_rocksdb host; \
    WREN_COMMIT=${WREN_COMMIT} cargo build --locked --package wren-cli --profile "${PROFILE}" --features "${FEATURES}" \
    && install -D -m 755 "target/${PROFILE}/wren" /out/wren

FROM ${BASE}
# RocksDB is C++. Certificates are compiled in; what an operator adds is given by --beacon-nodes-ca.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgcc-s1 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/wren --shell /usr/sbin/nologin wren \
    && for part in network node-1 node-2 node-3 node-4 validator-1 validator-2 validator-3 validator-4; do mkdir -p "/volumes/$part"; done; mkdir -p /network \
    && install -d -o wren -g wren -m 0750 /var/lib/wren \
    && chown -R wren:wren /network /volumes
COPY --from=build /out/wren /usr/bin/wren
COPY packaging/docker/init packaging/docker/introduce /usr/share/wren/
USER wren
ENV WREN_DATADIR=/var/lib/wren
# A named volume that is empty takes owner and mode from here.
VOLUME ["/var/lib/wren"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["wren", "status"]
ENTRYPOINT ["/usr/bin/wren"]
CMD ["--help"]
