#!/bin/sh
# Writes the three lock files, each a superset of the one before: web, worker, dev.
# torch is left out on purpose: two builds of one version exist, with different hashes (see tools/setup_torch.py).
# openvino-telemetry is left out too: OpenVINO names it, works without it, and Earmark reports to nobody.
set -eu
cd "$(dirname "$0")/.."
compile() {
    output=$1
    shift
    .venv/bin/python -m piptools compile --quiet --generate-hashes --strip-extras \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header \
        --unsafe-package torch --unsafe-package openvino-telemetry \
        --unsafe-package pip --unsafe-package setuptools --unsafe-package wheel \
        --constraint requirements/torch.txt --output-file "requirements/$output" "$@" pyproject.toml
}
compile dev.txt --extra worker --extra dev
compile worker.txt --extra worker --constraint requirements/dev.txt
compile web.txt --constraint requirements/dev.txt
