"""``dstore down``, ``status`` and ``node``: what they do and what they say."""

import os
import shlex
from pathlib import Path

from dstore.cli import cluster_file
from dstore.cli.exit_codes import ExitCode
from dstore.cli.local_cluster import (
    Step,
    existing_cluster,
    kill_server,
    locked,
    running_servers,
    start_server,
    stop_cluster,
)
from dstore.cli.local_directory import find_directory, profile_name
from dstore.cli.local_process import START_TIMEOUT_S, running_pid
from dstore.cli.master_calls import get_status, wait_up
from dstore.cli.output import Output, to_json
from dstore.cli.quantities import format_duration
from dstore.cli.status_text import node_lines, status_lines
from dstore.cli.target import Target
from dstore.client.profile import resolve_profile
from dstore.core.limits import SERVER_SUSPECT_AFTER_S
from dstore.core.status import Health
from dstore.core.text import printable

_MARKS = {"stopped": "✓", "killed": "✗", "not running": "·"}


def down(target: Target, directory: Path | None) -> int:
    """Stop the cluster on this machine."""
    output = Output(as_json=target.as_json)
    place = _find(target, directory)
    existing_cluster(place)
    steps: list[Step] = []

    def tell(step: Step) -> None:
        steps.append(step)
        output.text(f"  {_MARKS[step.outcome]} {step.name:<9} {step.outcome:<12} {_duration(step)}".rstrip())

    with locked(place):
        stop_cluster(place, tell)
    option = "" if place == _find(target, None) else f" --dir {shlex.quote(str(place))}"
    output.text(f"\n  The data stays in {printable(str(place))}. Start it again with `dstore up{printable(option)}`.")
    output.json({"directory": str(place), "servers": steps})
    return ExitCode.OK


def status(target: Target, *, check: bool) -> int:
    """Show the state of a cluster."""
    output = Output(as_json=target.as_json)
    value = get_status(_endpoint(target))
    output.result(value, "\n".join(status_lines(value, output.style)))
    return ExitCode.FAILED if check and value.health is not Health.OK else ExitCode.OK


def list_nodes(target: Target, directory: Path | None) -> int:
    """List the servers of a cluster, one JSON object each."""
    output = Output(as_json=target.as_json)
    endpoint = _endpoint(target)
    value = get_status(endpoint)
    pids = _local_pids(_find(target, directory), endpoint)
    output.text("\n".join(node_lines(value.servers, pids, output.style, master=endpoint)))
    output.json({"name": "master", "role": "master", "phase": "up", "address": endpoint, "pid": pids.get("master")})
    for server in value.servers:
        fields = to_json(server)
        assert isinstance(fields, dict), "a dataclass becomes an object"
        output.json({"name": server.name, "role": "chunkserver", **fields, "pid": pids.get(server.name)})
    return ExitCode.OK


def kill(target: Target, directory: Path | None, name: str) -> int:
    """Kill one server on this machine."""
    place = _find(target, directory)
    existing_cluster(place)
    with locked(place):
        step = kill_server(place, name)
    # Whoever asks for the status at once sees HEALTH_OK, and should know why.
    noticed = "" if name == "master" else f"; the master misses it within {SERVER_SUSPECT_AFTER_S:.0f} s"
    texts = {
        "killed": f"{name} killed (pid {step.pid}){noticed}. Start it again with `dstore node start {name}`.",
        "not running": f"{name} was not running.",
    }
    Output(as_json=target.as_json).result(step, texts[step.outcome])
    return ExitCode.OK


def start(target: Target, directory: Path | None, name: str) -> int:
    """Start one server on this machine, and wait until the master counts on it."""
    place = _find(target, directory)
    cluster = existing_cluster(place)
    with locked(place):
        step = start_server(place, name)
    joined = True
    if name != "master":
        # Without its master a chunkserver runs and waits; that is no reason to fail.
        joined = running_pid(cluster.master) is not None
        if joined:
            wait_up(cluster.endpoint, (name,), timeout_s=START_TIMEOUT_S)
    texts = {
        "ready": f"{name} started (pid {step.pid}, {_duration(step)}).",
        "running": f"{name} is already running (pid {step.pid}).",
    }
    waits = "" if joined else " It waits for the master: `dstore node start master`."
    Output(as_json=target.as_json).result(step, texts[step.outcome] + waits)
    return ExitCode.OK


def _find(target: Target, directory: Path | None) -> Path:
    return find_directory(os.environ, directory, profile_name(os.environ, target.profile))


def _endpoint(target: Target) -> str:
    return resolve_profile(os.environ, endpoint=target.endpoint, profile=target.profile).endpoint


def _local_pids(directory: Path, endpoint: str) -> dict[str, int]:
    """Return the pids of servers on this machine, if the cluster in ``directory`` is the one that was asked."""
    cluster = cluster_file.read(directory)
    if cluster is None or cluster.endpoint != endpoint:
        return {}
    return running_servers(cluster)


def _duration(step: Step) -> str:
    return format_duration(step.duration_s) if step.duration_s else ""
