# Three images from one file:
#   docker build --target web    -t earmark-web .                       no torch in it
#   docker build --target worker -t earmark-worker .                    CPU
#   docker build --target worker --build-arg TORCH=cuda -t earmark-worker-cuda .
#
# TORCH=cpu installs the CPU build if an index or wheel folder offers one: put its wheel into ./wheels, or point pip there by
# the build argument PIP_EXTRA_INDEX_URL. Where none is offered, pip takes the CUDA build, which works on a CPU too.

FROM node:20-slim AS front
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY tools/vendor.mjs tools/
RUN node tools/vendor.mjs

FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    EARMARK_DATA_DIR=/data
RUN useradd --system --uid 10001 --home-dir /srv/earmark --no-create-home earmark \
    && mkdir -p /srv/earmark /data && chown earmark /data
WORKDIR /srv/earmark
COPY requirements requirements

FROM base AS web-packages
ARG PIP_INDEX_URL
RUN python -m pip install --no-deps --require-hashes --requirement requirements/web.txt

FROM base AS worker-packages
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG TORCH=cpu
COPY wheels* wheels/
COPY tools/setup_torch.py tools/
RUN if [ "$TORCH" = cpu ]; then export PIP_FIND_LINKS=wheels; fi \
    && python -m pip install --requirement requirements/torch.txt \
    && python -m pip install --no-deps --require-hashes --requirement requirements/worker.txt \
    && EARMARK_TORCH="$TORCH" python tools/setup_torch.py \
    && rm -r wheels

FROM web-packages AS web
COPY . .
COPY --from=front /build/static/vendor static/vendor
# Compiled once: no process may write here, and each would compile everything at its start.
RUN python -m pip install --no-deps --editable . && python -m compileall -q app workers
USER earmark
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["earmark", "health", "web"]
CMD ["earmark", "web"]

FROM worker-packages AS worker
COPY . .
RUN python -m pip install --no-deps --editable . && python -m compileall -q app workers
USER earmark
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["earmark", "health", "worker"]
CMD ["earmark", "worker"]
