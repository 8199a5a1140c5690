# syntax=docker/dockerfile:1.7

# One build for all images. Targets: gateway, orders, catalog, documents, documents-import, localsqs.
#
#   docker build --target gateway --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t steelyard/gateway .
#
# The toolchain is rust-toolchain.toml's; a test compares the two.
FROM rust:1.95.0-slim-bookworm AS chef
# The C compiler is for aws-lc and mimalloc; cargo-chef turns the dependencies into a layer of their own.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates g++ \
    && rm -rf /var/lib/apt/lists/* \
    && cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /src

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

FROM chef AS build
# A panic names its file and line without symbols, and they would be a fifth of the image.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
# This layer changes with Cargo.lock and the manifests only: all dependencies, none of our code.
COPY --from=planner /recipe.json /recipe.json
RUN cargo chef cook --release --locked --recipe-path /recipe.json \
    --package steelyard-gateway --package steelyard-orders --package steelyard-catalog \
    --package steelyard-documents --package steelyard-documents-lambda --package localsqs
COPY . .
RUN cargo build --release --locked \
        --package steelyard-gateway --package steelyard-orders --package steelyard-catalog \
        --package steelyard-documents --package steelyard-documents-lambda --package localsqs --bins \
    && for binary in gateway orders catalog documents bootstrap localsqs; do \
        sh deploy/image/rootfs.sh "target/release/$binary" "/rootfs/$binary" || exit 1; \
    done \
    && mkdir /empty

# What every image has in common: nothing but the user, and where the source is.
FROM scratch AS base
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.source="https://github.com/steelyard/steelyard" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
# `nonroot` of the distroless images; by number, so that the platform can see that it is not root.
USER 65532:65532

FROM base AS gateway
LABEL org.opencontainers.image.title="steelyard-gateway"
COPY --from=build /rootfs/gateway /
EXPOSE 8080 9080
# The platform's own checks may be stricter; this one is for `docker ps` and start order.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --start-interval=1s --retries=3 \
    CMD ["/usr/local/bin/gateway", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/gateway"]

FROM base AS orders
LABEL org.opencontainers.image.title="steelyard-orders"
COPY --from=build /rootfs/orders /
EXPOSE 8082 9082
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --start-interval=1s --retries=3 \
    CMD ["/usr/local/bin/orders", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/orders"]

FROM base AS catalog
LABEL org.opencontainers.image.title="steelyard-catalog"
COPY --from=build /rootfs/catalog /
EXPOSE 8081 9081
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --start-interval=1s --retries=3 \
    CMD ["/usr/local/bin/catalog", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/catalog"]

FROM base AS documents
LABEL org.opencontainers.image.title="steelyard-documents"
COPY --from=build /rootfs/documents /
EXPOSE 8083 9083
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --start-interval=1s --retries=3 \
    CMD ["/usr/local/bin/documents", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/documents"]

# For AWS Lambda, which starts it, tells it where its runtime API is, and looks after its health itself.
FROM base AS documents-import
LABEL org.opencontainers.image.title="steelyard-documents-import"
COPY --from=build /rootfs/bootstrap /
ENTRYPOINT ["/usr/local/bin/bootstrap"]

FROM base AS localsqs
LABEL org.opencontainers.image.title="localsqs"
COPY --from=build /rootfs/localsqs /
# Messages are kept here; owned by the user, so that a fresh volume is, too.
COPY --from=build --chown=65532:65532 /empty /data
VOLUME ["/data"]
EXPOSE 9324
ENV LISTEN_ADDR=0.0.0.0:9324
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --start-interval=1s --retries=3 \
    CMD ["/usr/local/bin/localsqs", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/localsqs"]
CMD ["--data", "/data"]
