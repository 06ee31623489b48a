# Wren in an image: the program, its user, a shell, nothing else. Builds on amd64 and arm64 alike; the latter is untried.
#
#   docker build -t wren .                                    compiles it: about an hour of processor time
#   docker build -t wren --build-arg WREN_BIN=wren FOLDER     takes the program from FOLDER/wren; `scripts/testnet` with
#                                                             WREN_BIN makes such a folder
#
# BASE is Debian 13, or Debian 12 with its security archive in apt's sources; a program that was built elsewhere needs one
# that is not older than what it was built on. Where no registry can be reached, one made by `scripts/testnet base` will
# do. PROFILE=release builds faster, FEATURES=minimal is the other preset.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
ARG WREN_BIN=
RUN [ -n "${WREN_BIN}" ] || { apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates cargo-web clang g++ gcc make rustc-web; }
COPY . .
ARG PROFILE=dist
ARG FEATURES=
# The history is not copied; the caller knows the commit.
ARG WREN_COMMIT=unknown
RUN if [ -n "${WREN_BIN}" ]; then install -D -m 755 "${WREN_BIN}" /out/wren; else \
    . scripts/lib.sh; need_rust; need_rocksdb host; \
    WREN_COMMIT=${WREN_COMMIT} cargo build --locked --package wren-cli --profile "${PROFILE}" --features "${FEATURES}"; \
    install -D -m 755 "target/${PROFILE}/wren" /out/wren; fi

FROM ${BASE}
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# RocksDB is C++. Certificates are compiled in; what an operator adds is given by --beacon-nodes-ca.
# A named volume that is empty takes owner and mode from the folder that it is mounted on.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgcc-s1 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 wren \
    && useradd --system --uid 10001 --gid wren --home-dir /var/lib/wren --shell /usr/sbin/nologin wren \
    && install -d -o wren -g wren -m 0750 /var/lib/wren \
    && for part in network node-{1,2,3,4,5} validator-{1,2,3,4,5}; do \
        install -d -o wren -g wren -m 0750 "/volumes/$part"; done
COPY packaging/docker/init packaging/docker/introduce /usr/share/wren/
COPY --from=build /out/wren /usr/bin/wren
USER wren
# Fewer pools of the C library's allocator: each keeps what the threads that shared it freed.
ENV WREN_DATADIR=/var/lib/wren MALLOC_ARENA_MAX=2
VOLUME ["/var/lib/wren"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["wren", "status"]
ENTRYPOINT ["/usr/bin/wren"]
CMD ["--help"]
