#!/usr/bin/env bash
# Generates dstore/v1 from protos/; with --check, only compares what would be generated with what is there.
set -euo pipefail
cd "$(dirname "$0")/.."

generate() { # into the directory $1
  # Only the services have stubs; `--grpc_python_out` would write an empty module for every other file.
  .venv-proto/bin/python -m grpc_tools.protoc --proto_path=protos --python_out="$1" --pyi_out="$1" \
    --include_imports --include_source_info --descriptor_set_out="$1/dstore/v1/dstore.protoset" protos/dstore/v1/*.proto
  .venv-proto/bin/python -m grpc_tools.protoc --proto_path=protos --grpc_python_out="$1" protos/dstore/v1/*_service.proto
}

if [[ ${1:-} == --check ]]; then
  fresh=$(mktemp -d)
  trap 'rm -rf "$fresh"' EXIT
  mkdir -p "$fresh/dstore/v1"
  cp dstore/v1/__init__.py "$fresh/dstore/v1/"
  generate "$fresh"
  if ! diff --recursive --brief --exclude=__pycache__ "$fresh/dstore/v1" dstore/v1; then
    echo "dstore/v1 does not match protos/; run \`make proto\` and commit the result." >&2
    exit 1
  fi
  echo "dstore/v1 is up to date with protos/."
else
  rm -f dstore/v1/*_pb2.py dstore/v1/*_pb2.pyi dstore/v1/*_pb2_grpc.py dstore/v1/dstore.protoset
  generate .
fi
