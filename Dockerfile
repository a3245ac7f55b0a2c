# One image for both programs: assetuploader serve (Deployment) and assetuploader reconcile (CronJob).
#   docker build -t assetuploader .                   the release image
#   docker build -t assetuploader:dev --target dev .  for skaffold dev: writable sources, reload on change
# It builds with BuildKit and with the classic builder.
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
ARG UV_VERSION=0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_NO_CACHE=1
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet --disable-pip-version-check "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml uv.lock ./
# Install the dependencies first: this layer changes only with the lock file.
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --no-install-project
COPY README.md LICENSE ./
COPY assetuploader assetuploader
COPY service service
COPY reconciler reconciler

FROM build AS dev
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --group reload && chown -R 10001:10001 /src
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
# `serve` restarts when a source file changes. Other commands must end by themselves, so they run once.
ENTRYPOINT ["/bin/sh", "-c", "[ \"$1\" = serve ] && exec watchfiles --filter python \"assetuploader $*\" /src; exec assetuploader \"$@\"", "--"]
CMD ["serve"]

FROM build AS venv
# What is never imported is not shipped: setuptools (a leftover of Sanic's dependencies), the asynchronous half of the kubernetes
# client and its modules for other parts of the API, and botocore's data of all services but S3 and those that provide
# credentials. Bytecode is compiled here, because the root filesystem is read-only at run time: a start takes half as long.
# `docker run --rm --entrypoint du IMAGE -sh /opt/venv` prints the size.
COPY tools/prune_kubernetes.py /opt/
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --no-editable \
      --no-install-package setuptools --no-install-package aiohttp-retry \
 && rm -r /opt/venv/lib/python3*/site-packages/kubernetes/aio \
 && /opt/venv/bin/python -B /opt/prune_kubernetes.py \
 && find /opt/venv/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
      ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} + \
 && /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib

FROM ${BASE_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="assetuploader" \
      org.opencontainers.image.description="Uploads straight to S3 that become immutable assets" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=venv /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080 9090
ENTRYPOINT ["assetuploader"]
CMD ["serve"]
