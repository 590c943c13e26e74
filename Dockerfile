# The image of the marketplace: `docker build --tag pintuan .`; docs/operations/running.md says how to run it.
#
# The base is named by tag, so that a rebuild brings its security fixes. A release pins the digest that was tested:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:… --tag pintuan:0.1.0 .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# Builds the wheel and installs it in the pinned versions, with what traces need and without the embedded servers.
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_INPUT=1 \
    PIP_CONSTRAINT=constraints.txt \
    PIP_BUILD_CONSTRAINT=constraints.txt
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
COPY pricing pricing
COPY groups groups
COPY workers workers
COPY sql sql
RUN python -m pip wheel --no-deps --wheel-dir dist . \
    && python -m venv --without-pip /opt/pintuan \
    && set -- dist/pintuan-*.whl \
    && python -m pip --python /opt/pintuan/bin/python install "$1[otel]"

# Has the interpreter and /opt/pintuan: no compiler, no sources, no pip in the environment that runs.
FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Pintuan" \
      org.opencontainers.image.description="A group-buying marketplace backend"
RUN groupadd --system --gid 10001 pintuan \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent pintuan \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/pintuan
COPY --from=build /opt/pintuan /opt/pintuan
# Only the data directory is written to, and what is in it need not outlive the container: locks and metrics.
ENV PATH=/opt/pintuan/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PINTUAN_ENV=production \
    PINTUAN_DATA_DIR=/var/lib/pintuan
WORKDIR /var/lib/pintuan
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Liveness, not readiness: a new container would not mend a store that is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["pintuan"]
CMD ["up", "--host", "0.0.0.0", "--port", "8000"]
