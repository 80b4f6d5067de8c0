#!/bin/sh
# Compile each requirements.txt from its pyproject.toml: names, versions and hashes, for every platform.
# The later ones take their versions from the earlier ones, so that the tests run what is deployed.
set -eu

compile() {
    output=$1
    shift
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} --output-file "$output" "$@"
}

echo "# The standard library only." > layers/contract/requirements.txt
compile functions/gateway/requirements.txt functions/gateway/pyproject.toml
compile functions/authorizer/requirements.txt functions/authorizer/pyproject.toml
compile functions/runs/requirements.txt functions/runs/pyproject.toml
compile functions/processor/requirements.txt functions/processor/pyproject.toml core/pyproject.toml
compile infra/local/requirements.txt infra/local/pyproject.toml functions/gateway/pyproject.toml functions/processor/pyproject.toml \
    core/pyproject.toml --extra cli --extra parquet --extra s3 --constraints functions/gateway/requirements.txt --constraints functions/processor/requirements.txt
compile requirements-dev.txt requirements-dev.in infra/local/pyproject.toml functions/gateway/pyproject.toml functions/processor/pyproject.toml \
    core/pyproject.toml functions/authorizer/pyproject.toml functions/runs/pyproject.toml --extra cli --extra parquet --extra s3 --constraints infra/local/requirements.txt \
    --constraints functions/authorizer/requirements.txt --constraints functions/runs/requirements.txt
compile requirements-corpus.txt requirements-corpus.in --constraints requirements-dev.txt
for tool in uv sam checkov ministack openapi redocly dist; do
    compile infra/tools/$tool.txt infra/tools/$tool.in
done
compile infra/tools/localstack.txt infra/tools/localstack.in --exclude-newer 2026-01-05
