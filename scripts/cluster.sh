#!/usr/bin/env bash
# A cluster for development: `cluster.sh up|down|status`, or `cluster.sh compose …` for anything else that Docker
# Compose can do with it, such as `logs`, `kill cs-2` and, also after `down`, `down --volumes`.
#
# RUNTIME=docker|podman|local chooses how it runs; else the first that works. The other verbs use what `up` used, and
# `up` itself stays with it until `down`, so that no cluster is forgotten while it runs.
# CLUSTER_DIRECTORY (.cluster) keeps that choice, the data of local processes, and the key for the data in the volumes
# of containers.
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
  local engine in_use
  if [[ -e $directory/runtime ]]; then
    in_use=$(<"$directory/runtime")
    [[ ${RUNTIME:-$in_use} == "$in_use" ]] ||
      fail "it was started with RUNTIME=$in_use. Stop it with \`make cluster-down\` before you start another."
    echo "$in_use"
    return
  fi
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
    echo "Starting the cluster as local processes${RUNTIME:+: RUNTIME=local}. RUNTIME=podman or docker takes containers."
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
  "$1" build ${IMAGE_BUILD_FLAGS:-} --build-arg "BASE_IMAGE=${BASE_IMAGE:-python:3.13-slim}" \
    --build-arg "COMMIT=$(git rev-parse HEAD 2>/dev/null || echo unknown)" --tag "$DSTORE_IMAGE" . ||
    fail "the image cannot be built. BASE_IMAGE names another base; RUNTIME=local needs no image."
  compose "$1" up --detach --no-build
  "$python" -m dstore.system.probe --wait-s 60 "http://127.0.0.1:${prefix}"17{0,1,2,3}/readyz
  [[ -e $directory/key ]] || "$dstore" key init --key-file "$directory/key"
  printf '\nThe cluster answers. Next:\n\n'
  printf '  export DSTORE_ENDPOINT=127.0.0.1:%s DSTORE_KEY_FILE=%s\n' "${prefix}070" "$(realpath "$directory/key")"
  printf '  %s put README.md /README.md\n' "$dstore"
}

down() {
  local runtime
  if [[ ! -e $directory/runtime ]]; then
    echo "No cluster runs here."
    return
  fi
  runtime=$(<"$directory/runtime")
  if [[ $runtime != local ]]; then
    compose "$runtime" down
  elif [[ -e $directory/local/cluster.json ]]; then # else the start failed before there was anything to stop
    "$dstore" down --dir "$directory/local"
  fi
  rm "$directory/runtime"
}

verb=${1:-}
shift || true
case $verb in
  up) up ;;
  down) down ;;
  status)
    [[ -e $directory/runtime ]] || fail "none runs here. Start one with \`make cluster-up\`."
    DSTORE_ENDPOINT=127.0.0.1:${prefix}070 "$dstore" status
    ;;
  compose)
    runtime=$(choose_runtime)
    [[ $runtime != local ]] || fail "it runs as local processes; use \`dstore node\` and its files in $directory/local."
    compose "$runtime" "$@"
    ;;
  *) fail "usage: scripts/cluster.sh up|down|status|compose …" ;;
esac
