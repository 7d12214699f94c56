# The worker and every other command of the program, for linux/amd64 and linux/arm64.
# Which base, which FFmpeg, why, and what was measured: docs/decisions/0021-the-image.md
# `docker build -t audio-processor .`; with buildah say --format docker, or HEALTHCHECK and SHELL
# are left out. Behind a proxy with a certificate of its own: --secret id=ca,src=ca.pem.
ARG BASE_IMAGE=debian:13.7-slim

# ── what the stages share ────────────────────────────────────────────────────────────────────
FROM ${BASE_IMAGE} AS base
SHELL ["/bin/bash", "-o", "errexit", "-o", "nounset", "-o", "pipefail", "-c"]
# https://snapshot.debian.org/archive/debian/20261101T000000Z makes an old build again
ARG DEBIAN_MIRROR=http://deb.debian.org/debian
ARG DEBIAN_SECURITY_MIRROR=http://deb.debian.org/debian-security
RUN rm -f /etc/apt/sources.list.d/debian.sources \
    && for kind in deb deb-src; do \
        echo "$kind $DEBIAN_MIRROR trixie main" \
        && echo "$kind $DEBIAN_SECURITY_MIRROR trixie-security main" || exit; \
    done > /etc/apt/sources.list

# ── ffmpeg and ffprobe, from Debian's source, with what the program asks of them ─────────────
FROM base AS ffmpeg
# the archive keeps the newest only: when a security update has replaced this one the build says so
ARG FFMPEG_VERSION=7:7.1.5-0+deb13u1
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
        dpkg-dev=1.22.* gcc=4:14.* libc6-dev=2.41-* make=4.4.* nasm=2.16.* pkgconf=1.8.* \
        xz-utils=5.8.* zlib1g-dev=1:1.3.* \
    && rm -rf /var/lib/apt/lists/*
COPY image/build-ffmpeg.sh /build/
RUN apt-get -qq update \
    && /build/build-ffmpeg.sh "$FFMPEG_VERSION" /opt/ffmpeg \
    && rm -rf /var/lib/apt/lists/*

# ── the packages of requirements.lock, checked by hash, and the program ──────────────────────
FROM base AS python
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
        ca-certificates=20* python3=3.13.* python3-venv=3.13.* \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# pip has a place of its own, outside what is delivered
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/audio-processor
COPY requirements.lock requirements-otel.lock requirements-build.lock image/install.sh ./
ARG PIP_INDEX_URL=https://pypi.org/simple
# 1: traces, by the extra `otel`
ARG WITH_OTEL=0
RUN --mount=type=secret,id=ca ./install.sh packages
COPY pyproject.toml requirements.txt README.md LICENSE database_manager.py ./
COPY audio_processor audio_processor
COPY migrations migrations
COPY uploads_queue uploads_queue
RUN ./install.sh program

# ── what runs ────────────────────────────────────────────────────────────────────────────────
FROM base AS runtime
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
        ca-certificates=20* python3=3.13.* tini=0.19.* \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old \
    && groupadd --gid 10001 audio-processor \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin audio-processor \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/audio-processor
COPY --from=ffmpeg /opt/ffmpeg/bin/ /usr/local/bin/
COPY --from=python /opt/audio-processor /opt/audio-processor
COPY --chmod=0755 image/healthcheck.py /usr/local/bin/healthcheck
ENV PATH=/opt/audio-processor/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# ── the kernels, compiled by doing what the program does ─────────────────────────────────────
FROM runtime AS kernels
COPY image/warm.py /build/
# such as "x86-64-v3 x86-64-v2"; all that the building CPU has unless said otherwise
ARG KERNEL_LEVELS=""
RUN python /build/warm.py /opt/kernels "$KERNEL_LEVELS"

# ── the image ────────────────────────────────────────────────────────────────────────────────
FROM runtime AS image
ARG WITH_FDKAAC=0
COPY --chmod=0755 image/install-fdkaac.sh /usr/local/lib/
RUN if [ "$WITH_FDKAAC" = 1 ]; then /usr/local/lib/install-fdkaac.sh; fi \
    && rm /usr/local/lib/install-fdkaac.sh
COPY --from=kernels /opt/kernels /opt/kernels
# scratch and the embedded default's data are the only places that are written to: mount there
ENV AUDIO_PROCESSOR_KERNELS=/opt/kernels \
    AUDIO_PROCESSOR__SCRATCH__FOLDER=/var/lib/audio-processor/scratch \
    AUDIO_PROCESSOR__LOGGING__FORMAT=json
WORKDIR /var/lib/audio-processor
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# of `run`; what has no health port (migrate, once) switches it off
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["healthcheck"]
ENTRYPOINT ["/usr/bin/tini", "--", "audio-processor"]
CMD ["run"]
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="audio-processor" \
      org.opencontainers.image.description="Audio ingest: masters and normalises uploads to EBU R128, publishes an AAC m4a and an HLS ladder" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="debian:13.7-slim"
