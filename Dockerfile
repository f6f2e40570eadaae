# One image with the three programs: task-pipeline-operator (default), task-pipeline-server, task-pipeline-http-runner.
# BASE is a Python of 3.11 or newer; give it with its digest where that matters. Both stages need the same one: the
# virtual environment refers to its interpreter.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
# Where packages come from, if not from the usual place: arguments of this stage only, none is in the final image.
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
ARG SSL_CERT_FILE
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src

# Packages before sources, so that a change of the code builds in seconds. Every one is checked against its hash.
COPY requirements.lock requirements-image.lock ./
RUN awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.lock > /tmp/uv.txt \
    && python3 -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --require-hashes -r /tmp/uv.txt \
    && /tools/bin/uv venv --python "$(command -v python3)" /app \
    && /tools/bin/uv pip install --python /app/bin/python --require-hashes -r requirements-image.lock

COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /tools/bin/uv build --wheel --require-hashes --build-constraints requirements.lock --out-dir /dist \
    && /tools/bin/uv pip install --python /app/bin/python --no-deps /dist/*.whl

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="task-pipeline" \
      org.opencontainers.image.description="Pipelines of jobs on Kubernetes: operator, REST server, HTTP runner" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /app /app
# The user is a number, so that Kubernetes can tell that it is not root; it may be any, so no file knows its name.
# Nothing is written outside /tmp.
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp
CMD ["task-pipeline-operator"]
