"""``dstore node drain``, ``maintenance``, ``activate`` and ``remove``, ``balance`` and ``scrub``: what they do."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from dstore.cli import cluster_file, local_cluster, local_plan
from dstore.cli.cluster_file import LocalProcess
from dstore.cli.exit_codes import ExitCode
from dstore.cli.local_directory import find_directory, profile_name
from dstore.cli.local_process import running_pid
from dstore.cli.master_calls import ask, wait_drained
from dstore.cli.operator_text import balance_lines, drain_lines, scrub_lines
from dstore.cli.output import Output
from dstore.cli.quantities import count, format_duration, parse_duration
from dstore.cli.target import Target
from dstore.client.profile import resolve_profile
from dstore.core.errors import InvalidRequest, NotFound
from dstore.core.groups import Duty
from dstore.core.operations import DutyChange, MemberMove, PauseAction
from dstore.core.text import printable


@dataclass(frozen=True, slots=True)
class DrainResult:
    """What ``dstore node drain --json`` prints: a ``DutyChange``, and how the drain went as far as it was waited for.

    Attributes:
        is_drained: the server is a member of no placement group any more; False when nobody waited for it.
    """

    name: str
    duty: Duty
    is_applied: bool
    moves: tuple[MemberMove, ...]
    move_count: int
    copied_bytes: int
    is_drained: bool
    duration_s: float


@dataclass(frozen=True, slots=True)
class Removal:
    """What ``dstore node remove --json`` prints.

    Attributes:
        directory: of its data on this machine; None when it is elsewhere.
    """

    name: str
    directory: str | None


def drain(target: Target, name: str, *, is_dry_run: bool, wait: bool) -> int:
    """Have others take over what a chunkserver holds."""
    if is_dry_run and wait:
        raise InvalidRequest("A dry run has nothing to wait for; leave out --wait or --dry-run.", reason="USAGE")
    output, endpoint, started_s = Output(as_json=target.as_json), _endpoint(target), time.monotonic()
    change = _set_duty(endpoint, name, Duty.DRAINING, is_dry_run=is_dry_run)
    output.text("\n".join(drain_lines(change)))
    if wait:
        wait_drained(endpoint, name, lambda left: _tell_left(output, name, left))
        output.text(
            f"{printable(name)} is drained ({format_duration(time.monotonic() - started_s)}). "
            f"`dstore node remove {printable(name)}` makes the cluster forget it."
        )
    output.json(
        DrainResult(
            change.name,
            change.duty,
            change.is_applied,
            change.moves,
            change.move_count,
            change.copied_bytes,
            is_drained=wait,
            duration_s=time.monotonic() - started_s,
        )
    )
    return ExitCode.OK


def maintain(target: Target, name: str, *, duration: str, is_dry_run: bool) -> int:
    """Let a chunkserver be away for a while."""
    duration_s = parse_duration(duration)
    change = _set_duty(_endpoint(target), name, Duty.MAINTENANCE, duration_s=duration_s, is_dry_run=is_dry_run)
    shown = printable(name)
    text = (
        f"{shown} can be away: everything that it holds can be read from others."
        if is_dry_run
        else f"{shown} is in maintenance for {format_duration(duration_s)}: it gets no new chunks, and is not replaced "
        f"while it is away. `dstore node activate {shown}` ends it."
    )
    Output(as_json=target.as_json).result(change, text)
    return ExitCode.OK


def activate(target: Target, name: str) -> int:
    """Let a chunkserver take part in everything again."""
    change = _set_duty(_endpoint(target), name, Duty.ACTIVE, is_dry_run=False)
    Output(as_json=target.as_json).result(change, f"{printable(name)} takes part in everything again.")
    return ExitCode.OK


def remove(target: Target, directory: Path | None, name: str) -> int:
    """Forget a chunkserver, in the cluster and among the servers of this machine."""
    endpoint = _endpoint(target)
    place = find_directory(os.environ, directory, profile_name(os.environ, target.profile))
    try:
        ask(endpoint, lambda admin: admin.remove_node(name))
    except NotFound:
        # Whoever removed it from elsewhere left it among the servers of this machine.
        if not _has_ended(place, endpoint, name):
            raise
    local = _forget_local(place, endpoint, name)
    stays = "" if local is None else f" Its data in {printable(local)} is not needed any more, and can be deleted."
    Output(as_json=target.as_json).result(
        Removal(name, local), f"{printable(name)} was removed; its disk cannot join this cluster again.{stays}"
    )
    return ExitCode.OK


def balance(target: Target, action: str, *, list_moves: bool) -> int:
    """Show how evenly disks are filled, and pause or resume the moves."""
    output = Output(as_json=target.as_json)
    state = ask(_endpoint(target), lambda admin: admin.balance_cluster(PauseAction(action)))
    output.result(state, "\n".join(balance_lines(state, output.style, list_moves=list_moves)))
    return ExitCode.FAILED if state.refusal else ExitCode.OK


def scrub(target: Target, action: str) -> int:
    """Show how far the checks of all chunks are, and pause or resume them."""
    output, endpoint = Output(as_json=target.as_json), _endpoint(target)
    state = ask(endpoint, lambda admin: admin.set_scrub(PauseAction(action)))
    servers = ask(endpoint, lambda admin: admin.get_status()).servers
    nodes = [
        {
            "name": server.name,
            "phase": server.phase,
            "scrub_position": server.scrub_position,
            "scrub_age_s": server.scrub_age_s,
            "corrupt_chunk_count": server.corrupt_chunk_count,
        }
        for server in servers
    ]
    fields = {"is_paused": state.is_paused, "period_s": state.period_s, "servers": nodes}
    output.result(fields, "\n".join(scrub_lines(state, servers, output.style)))
    return ExitCode.OK


def _set_duty(endpoint: str, name: str, duty: Duty, *, duration_s: float = 0.0, is_dry_run: bool) -> DutyChange:
    return ask(endpoint, lambda admin: admin.set_node_duty(name, duty, duration_s=duration_s, dry_run=is_dry_run))


def _tell_left(output: Output, name: str, left: int) -> None:
    if left:
        output.text(f"  {printable(name)} is in {count(left, 'placement group')}")


def _find_local(directory: Path, endpoint: str, name: str) -> LocalProcess | None:
    cluster = cluster_file.read(directory)
    if cluster is None or cluster.endpoint != endpoint:
        return None
    return next((each for each in cluster.chunkservers if each.name == name), None)


def _has_ended(directory: Path, endpoint: str, name: str) -> bool:
    """Whether it is a server on this machine that does not run."""
    process = _find_local(directory, endpoint, name)
    return process is not None and running_pid(process) is None


def _forget_local(directory: Path, endpoint: str, name: str) -> str | None:
    """Take a server out of the cluster on this machine, if it is one of it; return its directory."""
    if _find_local(directory, endpoint, name) is None:
        return None
    with local_cluster.locked(directory):
        cluster = local_cluster.existing_cluster(directory)
        process = local_plan.find_process(cluster, name)
        local_cluster.stop_servers((process,), lambda _: None)
        cluster_file.write(directory, local_plan.without(cluster, name))
    return process.directory


def _endpoint(target: Target) -> str:
    return resolve_profile(os.environ, endpoint=target.endpoint, profile=target.profile).endpoint
