# One image; the command picks the role: `master run …`, `chunkserver run …`, or any other `dstore` command.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
# The environment of the image is made without pip, which nothing needs after the build.
RUN python -m venv /opt/build && python -m venv --without-pip /opt/dstore
COPY requirements/ requirements/
RUN /opt/build/bin/python -m pip install --require-hashes --requirement requirements/build.lock \
    && /opt/build/bin/python -m pip --python /opt/dstore/bin/python install \
        --require-hashes --requirement requirements/runtime.lock
COPY LICENSE README.md pyproject.toml ./
COPY dstore/ dstore/
# For `dstore_build_info`; whatever is no commit counts as unknown.
ARG COMMIT=unknown
RUN echo "${COMMIT}" >dstore/commit.txt
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
    && /opt/build/bin/python -m pip --python /opt/dstore/bin/python install --no-deps --no-index /wheel/*.whl

FROM ${BASE_IMAGE}
# A number that no user of the host is likely to have. Volumes made from the directory inherit its owner.
RUN groupadd --gid 10001 dstore \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/dstore --no-create-home --shell /usr/sbin/nologin dstore \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/dstore
COPY --from=builder /opt/dstore /opt/dstore
ENV PATH=/opt/dstore/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/dstore
STOPSIGNAL SIGTERM
# The side port that `master run` has by default; docker-compose.yml names those of the chunkservers.
HEALTHCHECK --interval=5s --timeout=4s --start-period=15s --retries=3 \
    CMD ["python", "-m", "dstore.system.probe", "http://127.0.0.1:7170/readyz"]
ENTRYPOINT ["dstore"]
CMD ["--help"]
