# syntax=docker/dockerfile:1
# The image of veriframe; docs/image.md is about it, scripts/image-check.sh builds and tries it.
#
#   docker build -t veriframe .
#   docker build -t veriframe:cuda --build-arg DEVICE=cuda .

ARG DEVICE=cpu
ARG DEBIAN=docker.io/library/debian:bookworm-slim
ARG RUST=docker.io/library/rust:1.95-slim-bookworm


# The final image's system: a C and C++ library, certificates, a user. No shell, no package manager.
FROM ${DEBIAN} AS system
COPY scripts/image-system.sh /
RUN /image-system.sh /image


# What fetches and compiles, and libtorch in the place where the program will look for it.
FROM ${RUST} AS libtorch
ARG DEVICE
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils g++ python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY scripts/setup.sh scripts/image-libtorch.sh scripts/
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    scripts/setup.sh "${DEVICE}" && scripts/image-libtorch.sh /opt/veriframe/lib


# The program. Line tables go, the names in backtraces stay.
FROM libtorch AS compile
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY proto proto
COPY src src
# Cargo wants every target that the manifest names to be there.
COPY benches benches
COPY tests/it/main.rs tests/it/main.rs
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --config 'profile.release.strip="debuginfo"' \
    && install -D target/release/veriframe /out/veriframe


# One layer a part, those that change least first.
FROM scratch AS runtime
COPY --from=system /image/ /
COPY --from=libtorch /opt/veriframe/lib /opt/veriframe/lib
COPY LICENSE /usr/share/doc/veriframe/LICENSE
COPY models/demo /opt/veriframe/models/demo
COPY --from=compile /out/veriframe /usr/local/bin/veriframe
# The policy spares the program a restart of its own: src/libtorch/threads.rs.
ENV PATH=/usr/local/bin \
    OMP_WAIT_POLICY=PASSIVE \
    VERIFRAME_CONFIG=/etc/veriframe/veriframe.toml \
    VERIFRAME_MODELS_DEMO=/opt/veriframe/models/demo

FROM runtime AS runtime-cpu

# NVIDIA's container toolkit lets GPUs in by these; utility is NVML, for the metrics of GPUs.
FROM runtime AS runtime-cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility


FROM runtime-${DEVICE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="veriframe" \
    org.opencontainers.image.description="Checks images and video frames against text, over gRPC" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
# By number, so that Kubernetes' runAsNonRoot can tell.
USER 65532:65532
WORKDIR /var/lib/veriframe
VOLUME /var/lib/veriframe
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
# Docker alone looks at this; Kubernetes has probes of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m --retries=3 CMD ["veriframe", "health"]
ENTRYPOINT ["veriframe"]
CMD ["serve"]
