# The daemon without the demo: docker build -t redis-pulse . && docker run --read-only -p 9121:9121 -e REDIS_URL=… redis-pulse
# BASE can be any image that has Python 3.11 or later as `python`, with pip.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Install the libraries first: their layer is reused until the lock file changes. The environment itself has no pip.
COPY requirements requirements
RUN python -m venv --without-pip /opt/redis-pulse \
    && python -m pip --python /opt/redis-pulse/bin/python install --no-compile --no-deps --require-hashes -r requirements/image.lock \
    && python -m pip --python /opt/redis-pulse/bin/python check \
    && python -m pip install --no-deps --require-hashes -r requirements/build.lock
COPY . .
RUN python -m pip wheel --no-build-isolation --no-deps --no-index --wheel-dir /dist . \
    && python -m pip --python /opt/redis-pulse/bin/python install --no-compile --no-deps --no-index /dist/*.whl \
    && /opt/redis-pulse/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/redis-pulse/lib

FROM ${BASE}
COPY --from=build /opt/redis-pulse /opt/redis-pulse
ENV PATH=/opt/redis-pulse/bin:$PATH PYTHONUNBUFFERED=1
# The daemon writes no files. So its imports from the standard library are compiled here: slim images do not contain them.
# Imports that wait until they are needed are in the second half.
RUN python -c "import redis_pulse.cli, redis_pulse.daemon, redis_pulse.collectors; redis_pulse.collectors.load(); \
import redis_pulse.web.status_handlers, redis_pulse.config.yaml_groups, redis_pulse.keyspace_sampling, tomllib, difflib"
ENV PYTHONDONTWRITEBYTECODE=1
# Charts and operators for redis_exporter start it by these names. A small image may have no `ln`.
RUN python -c "import os; os.symlink('redis-pulse', '/opt/redis-pulse/bin/redis_exporter'); \
os.symlink('/opt/redis-pulse/bin/redis-pulse', '/redis_exporter')"
USER 65532:65532
EXPOSE 9121
STOPSIGNAL SIGTERM
# The port is that of REDIS_PULSE_LISTEN. If a file or a flag sets another port, use --health-cmd.
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s CMD ["python", "-c", "import os, urllib.request; \
urllib.request.urlopen('http://127.0.0.1:%s/-/healthy' % os.environ.get('REDIS_PULSE_LISTEN', ':9121').rpartition(':')[2], timeout=2)"]
ENTRYPOINT ["redis-pulse"]
ARG REVISION=
LABEL org.opencontainers.image.title="redis-pulse" \
      org.opencontainers.image.description="Prometheus exporter daemon for Redis and Valkey" \
      org.opencontainers.image.source="https://github.com/redis-pulse/redis-pulse" \
      org.opencontainers.image.documentation="https://github.com/redis-pulse/redis-pulse/blob/main/README.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
