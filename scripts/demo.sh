#!/usr/bin/env bash
# Shows, with the `dstore` command alone, that a file survives the loss of a chunkserver. Everything is kept in a
# temporary directory, and is gone afterwards. DEMO_SIZE_MIB (256) is the size of the file.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C # so that the clock below has a decimal point

size_mib=${DEMO_SIZE_MIB:-256}
home=$(mktemp -d "${TMPDIR:-/tmp}/dstore-demo.XXXXXX")
cluster=$home/cluster
export DSTORE_CONFIG_DIR=$home/config DSTORE_STATE_DIR=$home/state
unset DSTORE_ENDPOINT DSTORE_KEY_FILE DSTORE_PROFILE
PATH=$PWD/.venv/bin:$PATH
started=$EPOCHREALTIME
step_number=0

clean_up() {
  local code=$?
  trap - EXIT
  if [[ -d $cluster ]] && ! dstore down --dir "$cluster" >"$home/down.log" 2>&1; then
    cat "$home/down.log" >&2
    echo "The servers could not be stopped; their data and logs are in $cluster." >&2
    exit 1
  fi
  rm -rf "$home"
  [[ $code == 0 ]] || echo "The demo failed with exit code $code." >&2
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

title() {
  step_number=$((step_number + 1))
  printf '\n%s. %s\n' "$step_number" "$*"
}

run() { # show a command, run it, and say how long it took
  local from=$EPOCHREALTIME code=0
  printf '   $ %s\n' "${*//$home/DEMO}"
  "$@" 2>&1 | sed "s|$home|DEMO|g; s|^|   |" || code=$?
  last_s=$(seconds_since "$from")
  printf '   took %s s\n' "$last_s"
  return "$code"
}

rate() { awk -v mib="$1" -v seconds="$last_s" 'BEGIN { printf "   %.0f MiB/s\n", mib / seconds }'; }

make_file() { head -c "$(($2 * 1024 * 1024))" /dev/urandom >"$1"; }

compare() { # compare ORIGINAL COPY
  local original copy
  original=$(sha256sum <"$1")
  copy=$(sha256sum <"$2")
  printf '   sha256 original  %s\n   sha256 read back %s\n' "${original%% *}" "${copy%% *}"
  [[ $original == "$copy" ]] || {
    echo "   The file that was read back differs." >&2
    return 1
  }
  echo "   Equal."
}

free_port() { # the first of the block of ports that a master and three chunkservers use
  python - <<'PYTHON'
import random
from dstore.cli.ports import is_taken, plan_ports

while True:
    port = random.randrange(15_000, 30_000)
    if not any(is_taken(taken) for plan in plan_ports(port, 3) for taken in (plan.port, plan.http_port)):
        break
print(port)
PYTHON
}

echo "All of this happens below $home, called DEMO here."

title "Start a master and three chunkservers, and make a key"
run dstore up --dir "$cluster" --port "$(free_port)" --chunkservers 3

title "Store $size_mib MiB of random bytes: split, encrypted here, and on three disks before it returns"
make_file "$home/original" "$size_mib"
run dstore mkdir /demo
run dstore put "$home/original" /demo/original
rate "$size_mib"

title "Kill one chunkserver with SIGKILL"
run dstore node kill cs-2 --dir "$cluster"

title "Read the file back while cs-2 is dead"
run dstore get /demo/original "$home/copy"
rate "$size_mib"
compare "$home/original" "$home/copy"

title "Store another file meanwhile, and read that one back too"
make_file "$home/second" 64
run dstore put "$home/second" /demo/second
run dstore get /demo/second "$home/second-copy"
compare "$home/second" "$home/second-copy"

await_down() { # the master counts a server as down when it was silent for 6 s
  local tries
  for tries in {1..40}; do
    [[ $(dstore status --json) != *SERVER_DOWN* ]] || return 0
    sleep 0.25
  done
  echo "   The master never called cs-2 down (asked $tries times)." >&2
  return 1
}

title "Ask for the status, once the master has given up on cs-2: what is missing, and the command that helps"
await_down
run dstore status || [[ $? == 1 ]]

title "Stop"
run dstore down --dir "$cluster"

printf '\nDone in %s s: nothing was lost.\n' "$(seconds_since "$started")"
