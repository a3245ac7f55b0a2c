# One image, two programs: assetuploader serve (Deployment) and assetuploader reconcile (CronJob).
#   docker build -t assetuploader .                  the image to ship
#   docker build -t assetuploader:dev --target dev . sources writable and watched, for skaffold dev
# Builds with BuildKit and with the classic builder.
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
ARG UV_VERSION=0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_NO_CACHE=1
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet --disable-pip-version-check "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml uv.lock ./
# Dependencies first: this layer changes only with the lock file.
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --no-install-project
COPY README.md LICENSE ./
COPY assetstore assetstore
COPY service service
COPY reconciler reconciler
COPY cli cli

FROM build AS dev
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --group reload && chown -R 10001:10001 /src
COPY docker/reload.py /opt/reload.py
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["python3", "/opt/reload.py"]
CMD ["serve"]

FROM build AS venv
# Bytecode is compiled here, since the root filesystem is read-only when the programs run. Of the 400 AWS services
# that botocore describes, the programs use S3, and those that turn a role or a profile into credentials; of the
# kubernetes client not its second, asynchronous half.
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --no-editable \
 && find /opt/venv/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
      ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} + \
 && rm -r /opt/venv/lib/python3*/site-packages/kubernetes/aio \
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
