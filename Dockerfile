# The build is `make build`, the same target that CI runs on the same files
# (make image-build). Base images carry a version; a registry proxy or a digest can
# be put in their place with --build-arg. Nothing here needs a BuildKit extension.
ARG GO_IMAGE=golang:1.26-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=""
ARG COMMIT=""
RUN make build VERSION="${VERSION}" COMMIT="${COMMIT}" OUT=/out/playgate && mkdir -p /out/state

# Debian's slim image and not a static or distroless one: the signer loads OpenSSL 3's
# libcrypto at run time (some three times the signatures per core of Go's own RSA), so
# the image must hold glibc and libssl3, and Debian's security updates reach both with a
# rebuild. Without libssl3 the gateway still runs, and signs with crypto/rsa.
FROM ${BASE_IMAGE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/playgate /usr/local/bin/playgate
# Where a volume for store.dsn goes; /etc/playgate is the operator's, and read-only.
COPY --from=build --chown=65532:65532 /out/state /var/lib/playgate
# A number, so that runAsNonRoot can be judged without the image's passwd file.
USER 65532:65532
WORKDIR /etc/playgate
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
# No HEALTHCHECK: /livez and /readyz are on server.admin_listen, for the orchestrator's
# probes. Its default is loopback; set it to ":9090" where the probes come from outside.
ENTRYPOINT ["/usr/local/bin/playgate"]
CMD ["serve", "--config", "/etc/playgate/playgate.yaml"]
