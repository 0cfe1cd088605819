#!/usr/bin/env bash
# A cluster for development: `cluster.sh up|down|status`, or `cluster.sh compose …` for anything else that Docker
# Compose can do with it, such as `logs` and `kill cs-2`.
#
# RUNTIME=docker|podman|local chooses how it runs; else the first that works. The other verbs use what `up` used.
# CLUSTER_DIRECTORY (.cluster) keeps that choice, and either the data of local processes, or the key for the data in
# the volumes of containers.
set -euo pipefail
cd "$(dirname "$0")/.."

dstore=.venv/bin/dstore
python=.venv/bin/python
directory=${CLUSTER_DIRECTORY:-.cluster}
prefix=${DSTORE_PORT_PREFIX:-7} # docker-compose.yml makes ports of it
export DSTORE_IMAGE=${DSTORE_IMAGE:-dstore:local}

engine_answers() { # engine_answers docker|podman
  case $1 in
    docker) docker compose version && docker info ;;
    podman) podman info ;;
  esac &>/dev/null
}

choose_runtime() {
  local engine
  case ${RUNTIME:-} in
    "")
      for engine in docker podman; do
        if engine_answers "$engine"; then
          echo "$engine"
          return
        fi
      done
      echo local
      ;;
    docker | podman)
      engine_answers "$RUNTIME" || fail "RUNTIME=$RUNTIME, but \`$RUNTIME info\` or its compose fails: install and start it."
      echo "$RUNTIME"
      ;;
    local) echo local ;;
    *) fail "RUNTIME is \"$RUNTIME\"; it must be docker, podman, local or empty." ;;
  esac
}

fail() {
  echo "cluster: $*" >&2
  exit 1
}

runtime_in_use() {
  [[ -e $directory/runtime ]] || fail "none was started here. Start one with \`make cluster-up\`."
  cat "$directory/runtime"
}

compose() { # compose RUNTIME ARGUMENTS…
  local runtime=$1
  shift
  if [[ $runtime == docker ]]; then docker compose "$@"; else .venv/bin/podman-compose "$@"; fi
}

up() {
  local runtime
  runtime=$(choose_runtime)
  mkdir -p "$directory"
  echo "$runtime" >"$directory/runtime"
  if [[ $runtime == local ]]; then
    echo "Starting the cluster as local processes: ${RUNTIME:+RUNTIME=}${RUNTIME:-no container engine answers}."
    "$dstore" up --dir "$directory/local" --port "${prefix}070"
    echo "        (\`source .venv/bin/activate\` makes \`dstore\` a command of this shell.)"
  else
    echo "Starting the cluster in containers: $runtime answers. RUNTIME=local starts local processes instead."
    up_in_containers "$runtime"
  fi
}

up_in_containers() {
  # The flags are several words on purpose.
  # shellcheck disable=SC2086
  "$1" build ${IMAGE_BUILD_FLAGS:-} --build-arg "BASE_IMAGE=${BASE_IMAGE:-python:3.13-slim}" --tag "$DSTORE_IMAGE" . ||
    fail "the image cannot be built. BASE_IMAGE names another base; RUNTIME=local needs no image."
  compose "$1" up --detach --no-build
  "$python" -m dstore.system.probe --wait-s 60 "http://127.0.0.1:${prefix}"17{0,1,2,3}/readyz
  [[ -e $directory/key ]] || "$dstore" key init --key-file "$directory/key"
  printf '\nThe cluster answers. Next:\n\n'
  printf '  export DSTORE_ENDPOINT=127.0.0.1:%s DSTORE_KEY_FILE=%s\n' "${prefix}070" "$(realpath "$directory/key")"
  printf '  %s put README.md /README.md\n' "$dstore"
}

verb=${1:-}
shift || true
case $verb in
  up) up ;;
  down)
    runtime=$(runtime_in_use)
    if [[ $runtime == local ]]; then "$dstore" down --dir "$directory/local"; else compose "$runtime" down; fi
    ;;
  status)
    runtime_in_use >/dev/null
    DSTORE_ENDPOINT=127.0.0.1:${prefix}070 "$dstore" status
    ;;
  compose)
    runtime=$(runtime_in_use)
    [[ $runtime != local ]] || fail "it runs as local processes; use \`dstore node\` and its files in $directory/local."
    compose "$runtime" "$@"
    ;;
  *) fail "usage: scripts/cluster.sh up|down|status|compose …" ;;
esac
