"""``dstore up``: the key, the servers and the profile of a cluster on this machine, told as a list of ticks."""

import os
import shutil
import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from dstore.cli.cluster_file import LocalCluster
from dstore.cli.exit_codes import ExitCode
from dstore.cli.extras import check_gateway_extra, check_server_extra
from dstore.cli.key_files import KeyFile, choose_passphrase, keep_or_create_key_file
from dstore.cli.local_cluster import Start, Step, Tell, locked, prepare_start, start_cluster, start_gateway
from dstore.cli.local_directory import find_directory, key_path, note_directory, profile_name
from dstore.cli.local_plan import UpRequest
from dstore.cli.local_process import START_TIMEOUT_S
from dstore.cli.master_calls import SETTLE_TIMEOUT_S, wait_up
from dstore.cli.output import Output
from dstore.cli.quantities import format_duration, parse_duration
from dstore.cli.target import Target
from dstore.client.profile import Profile, config_directory, resolve_profile, save_profile
from dstore.core.errors import AlreadyExists, InvalidRequest
from dstore.core.sizes import format_size, parse_size
from dstore.core.status import ClusterStatus, Health
from dstore.core.text import printable


@dataclass(frozen=True, slots=True)
class UpResult:
    """What ``dstore up --json`` prints.

    Attributes:
        servers: all of them, with what happened to each.
        free_bytes: on the file system that holds the data.
    """

    endpoint: str
    directory: str
    profile: str
    key_file: str
    key_created: bool
    key_fingerprint: str | None
    cluster_id: str
    health: Health
    replicas: int
    min_replicas: int
    chunk_size_bytes: int
    retention_s: int
    free_bytes: int
    duration_s: float
    servers: tuple[Step, ...]


def up(
    target: Target,
    directory: Path | None,
    *,
    chunkservers: int | None,
    port: int | None,
    chunk_size: str | None,
    retention: str | None = None,
    out_after: str | None = None,
    trash_delay: str | None = None,
    gateway: bool | None = None,
) -> int:
    """Start what is missing of a cluster on this machine, and make the profile that later commands use."""
    check_server_extra()
    if gateway:
        check_gateway_extra()
    started_s = time.monotonic()
    output = Output(as_json=target.as_json)
    profile = profile_name(os.environ, target.profile)
    request = UpRequest(
        directory=find_directory(os.environ, directory, profile),
        profile=profile,
        chunkservers=chunkservers,
        port=port,
        chunk_size_bytes=None if chunk_size is None else parse_size(chunk_size),
        retention_s=_whole_seconds(retention),
        out_after_s=_whole_seconds(out_after),
        trash_delay_s=_whole_seconds(trash_delay),
        gateway=gateway,
    )
    known = _known_profile(profile)
    request.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(request.directory):
        start = prepare_start(request)
        key = _key_file(target, known, profile)
        steps: list[Step] = []
        cluster, status = _start(request.directory, start, output, key, steps)
        saved = _save_profile(known, cluster, key, status)
        note_directory(os.environ, request.directory, profile)
        output.text(f"  profile    {profile_line(profile, known, saved)}")
        start_gateway(request.directory, cluster, _teller(output, steps))
    result = _result(request, cluster, key, status, tuple(steps), time.monotonic() - started_s)
    _say_end(output, result)
    output.json(result)
    return ExitCode.OK


def _whole_seconds(duration: str | None) -> int | None:
    return None if duration is None else ceil(parse_duration(duration))


def _known_profile(profile: str) -> Profile | None:
    """Return the profile if it exists. What the environment says of other clusters does not matter here.

    Raises:
        AlreadyExists: with reason PROFILE_OF_REMOTE_CLUSTER; it is not to be overwritten by a local one.
    """
    environ = {name: value for name, value in os.environ.items() if name not in ("DSTORE_ENDPOINT", "DSTORE_KEY_FILE")}
    try:
        known = resolve_profile(environ, profile=profile)
    except InvalidRequest as error:
        if error.reason in ("PROFILE_UNKNOWN", "NO_ENDPOINT"):
            return None
        raise
    host = known.endpoint.rpartition(":")[0]
    if host not in ("127.0.0.1", "localhost", "[::1]"):
        raise AlreadyExists(
            f"The profile {profile!r} points to the cluster at {known.endpoint}, which is not on this machine. "
            "Give the new cluster a profile of its own with --profile.",
            reason="PROFILE_OF_REMOTE_CLUSTER",
            metadata={"profile": profile, "endpoint": known.endpoint},
        )
    return known


@dataclass(frozen=True, slots=True)
class _Key:
    """The key file of the profile; ``file`` is None when its fingerprint is behind a passphrase."""

    path: Path
    file: KeyFile | None

    @property
    def created(self) -> bool:
        return self.file is not None and self.file.created


def _key_file(target: Target, known: Profile | None, profile: str) -> _Key:
    chosen = target.key_file or os.environ.get("DSTORE_KEY_FILE")
    if not chosen and known is not None:
        chosen = known.key_file
    path = Path(chosen).absolute() if chosen else key_path(os.environ, profile)
    return _Key(path, keep_or_create_key_file(path, choose_passphrase(os.environ, None)))


def _teller(output: Output, steps: list[Step]) -> Tell:
    """Return what notes and shows each step."""

    def tell(step: Step) -> None:
        steps.append(step)
        duration = format_duration(step.duration_s) if step.duration_s else ""
        output.text(f"  {step.name:<10} {step.outcome:<9} {duration:<7} {step.endpoint}")

    return tell


def _start(
    directory: Path, start: Start, output: Output, key: _Key, steps: list[Step]
) -> tuple[LocalCluster, ClusterStatus]:
    word = "created" if key.created else "kept"
    print_ = "protected by a passphrase" if key.file is None else f"fingerprint {key.file.fingerprint}"
    output.text(f"  key        {word:<9} {printable(str(key.path))}   ({print_})")
    cluster = start_cluster(directory, start, _teller(output, steps))
    joining_s = time.monotonic()
    names = [process.name for process in cluster.chunkservers]
    status = wait_up(cluster.endpoint, names, timeout_s=START_TIMEOUT_S, settle_timeout_s=SETTLE_TIMEOUT_S)
    output.text(
        f"  cluster    {'complete':<9} {format_duration(time.monotonic() - joining_s):<7} "
        f"{cluster.replicas} replicas, {format_size(shutil.disk_usage(directory).free)} free"
    )
    return cluster, status


def _save_profile(known: Profile | None, cluster: LocalCluster, key: _Key, status: ClusterStatus) -> Profile | None:
    """Write the profile unless it says all of this already; None when it does."""
    wanted = Profile(cluster.profile, cluster.endpoint, key.path, status.cluster_id)
    if wanted == known:
        return None
    save_profile(config_directory(os.environ), wanted)
    return wanted


def profile_line(name: str, known: Profile | None, saved: Profile | None) -> str:
    """Say what became of the profile: ``known`` is the old one, ``saved`` what was written, None when nothing was.

    That it left another cluster must not go unnoticed.
    """
    if saved is None:
        return f"{'kept':<9} {name}"
    if known is None or known.cluster_id in (None, saved.cluster_id):
        return f"{'written':<9} {name}"
    return f"{'changed':<9} {name}   (it was for the cluster at {known.endpoint}; --profile keeps several)"


def _result(
    request: UpRequest,
    cluster: LocalCluster,
    key: _Key,
    status: ClusterStatus,
    steps: tuple[Step, ...],
    duration_s: float,
) -> UpResult:
    return UpResult(
        endpoint=cluster.endpoint,
        directory=str(request.directory),
        profile=cluster.profile,
        key_file=str(key.path),
        key_created=key.created,
        key_fingerprint=None if key.file is None else key.file.fingerprint,
        cluster_id=status.cluster_id,
        health=status.health,
        replicas=cluster.replicas,
        min_replicas=cluster.min_replicas,
        chunk_size_bytes=cluster.chunk_size_bytes,
        retention_s=cluster.retention_s,
        free_bytes=shutil.disk_usage(request.directory).free,
        duration_s=duration_s,
        servers=steps,
    )


def _say_end(output: Output, result: UpResult) -> None:
    style = "green" if result.health is Health.OK else "yellow"
    mark = "✓" if result.health is Health.OK else "!"
    already = all(step.outcome == "running" for step in result.servers)
    how = "It was already running." if already else f"Up in {format_duration(result.duration_s)}."
    output.text(
        f"\n  {output.style(f'{mark} {result.health.value}', style)}. {how} Data is encrypted before it leaves you."
    )
    if result.key_created:
        output.text(
            f"    Lose the key file and the data is gone: keep a copy of {printable(result.key_file)}\n"
            "    in a safe place, away from this machine."
        )
    if result.health is not Health.OK:
        output.text("    See `dstore status`.")
    option = "" if result.profile == _profile_of_other_commands() else f"--profile {result.profile} "
    output.text(f"\n  Next:  dstore put {option}README.md /hello.md")
    elsewhere = os.environ.get("DSTORE_ENDPOINT")
    if elsewhere and elsewhere != result.endpoint:
        output.text(f"  But DSTORE_ENDPOINT is {printable(elsewhere)}, and other commands go there: unset it.")


def _profile_of_other_commands() -> str:
    """Return the profile that a command without --profile uses."""
    return resolve_profile(os.environ).name
