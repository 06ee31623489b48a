# Prometheus from Debian's package, set up for the testnet of compose.yaml.
ARG BASE=debian:trixie-slim
FROM ${BASE}
# The package starts nothing in an image; its own settings and its node exporter are not wanted.
RUN apt-get update \
    && apt-get install -y --no-install-recommends prometheus \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o prometheus -g prometheus /var/lib/prometheus
COPY packaging/docker/prometheus.yml /etc/prometheus/prometheus.yml
USER prometheus
VOLUME ["/var/lib/prometheus"]
EXPOSE 9090
ENTRYPOINT ["/usr/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/var/lib/prometheus"]
