"""The reasons why a cluster is not well, each with the command that helps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dstore.core.errors import DstoreError
from dstore.core.files import Policy
from dstore.core.groups import ServerPhase
from dstore.core.ids import ServerId
from dstore.core.limits import FILL_PLACEMENT_MAX, FILL_WRITE_MAX
from dstore.core.status import Health, HealthCheck
from dstore.master.membership import ServerState
from dstore.master.placement import domain_of

#: Servers that are named one by one; a thousand lines about one broken switch would help nobody.
_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Losses:
    """Chunks that lack copies.

    Attributes:
        lacking: by server, how many chunks it reports fewer than it has to hold.
    """

    under_replicated: int
    unavailable: int
    lacking: Mapping[ServerId, int]


def find_checks(
    policy: Policy,
    servers: Sequence[ServerState],
    losses: Losses,
    refusal: DstoreError | None,
    further: Sequence[HealthCheck] = (),
) -> tuple[HealthCheck, ...]:
    """Return what is wrong, the worst first; nothing means HEALTH_OK. ``servers`` are sorted by name."""
    checks = [
        *_about_servers(servers),
        *_about_space(servers),
        *_about_chunks(policy, servers, losses),
        *_about_writing(policy, servers, refusal),
        *further,
    ]
    return tuple(sorted(checks, key=lambda check: check.severity is not Health.ERROR))


def summarize(
    policy: Policy, checks: Sequence[HealthCheck], *, up_count: int, server_count: int, chunk_count: int
) -> str:
    """Return one sentence."""
    servers = f"{up_count} of {server_count} chunkservers are up"
    if not checks:
        if chunk_count == 0:
            return f"{servers}."
        which = "the only chunk" if chunk_count == 1 else f"every one of {chunk_count} chunks"
        return f"{servers}; {which} has {policy.replicas} copies."
    more = f" ({len(checks) - 1} more below)" if len(checks) > 1 else ""
    return f"{servers}; {checks[0].message}{more}"


def _about_servers(servers: Sequence[ServerState]) -> list[HealthCheck]:
    if not servers:
        return [
            HealthCheck(
                "NO_SERVERS", Health.ERROR, "No chunkserver has joined.", "dstore chunkserver run --help; dstore up"
            )
        ]
    troubled = [state for state in servers if state.phase is not ServerPhase.UP]
    checks = [_about_server(state) for state in troubled[:_NAMED_MAX]]
    if len(troubled) > _NAMED_MAX:
        checks.append(
            _warn("SERVERS_DOWN", f"{len(troubled) - _NAMED_MAX} more chunkservers are not up.", "dstore node list")
        )
    return checks


def _about_server(state: ServerState) -> HealthCheck:
    name = state.record.name
    since = f"no heartbeat for {state.age_s:.0f} s" if state.age_s is not None else "not heard since the master started"
    if state.phase is ServerPhase.DOWN:
        return _warn("SERVER_DOWN", f"{name} is down: {since}.", f"dstore node start {name}")
    return _warn("SERVER_SUSPECT", f"{name} missed heartbeats: {since}.", "dstore status")


def _about_space(servers: Sequence[ServerState]) -> list[HealthCheck]:
    checks: list[HealthCheck] = []
    for state in servers:
        if state.phase is ServerPhase.DOWN or state.capacity.total_bytes == 0:
            continue
        fill = state.capacity.fill
        if fill >= FILL_WRITE_MAX:
            checks.append(
                _warn(
                    "DISK_FULL",
                    f"The disk of {state.record.name} is {fill:.0%} full and takes no writes.",
                    "dstore rm, or add chunkservers",
                )
            )
        elif fill >= FILL_PLACEMENT_MAX:
            checks.append(
                _warn(
                    "DISK_NEARLY_FULL",
                    f"The disk of {state.record.name} is {fill:.0%} full and gets no new chunks.",
                    "dstore rm, or add chunkservers",
                )
            )
    return checks[:_NAMED_MAX]


def _about_chunks(policy: Policy, servers: Sequence[ServerState], losses: Losses) -> list[HealthCheck]:
    checks: list[HealthCheck] = []
    hint = _about_copies(servers)
    if losses.unavailable:
        files = "its file" if losses.unavailable == 1 else "their files"
        checks.append(
            HealthCheck(
                "CHUNKS_UNAVAILABLE",
                Health.ERROR,
                f"{_chunks_have(losses.unavailable)} no copy on a server that is up; {files} cannot be read.",
                hint,
            )
        )
    if losses.under_replicated:
        checks.append(
            _warn(
                "CHUNKS_UNDER_REPLICATED",
                f"{_chunks_have(losses.under_replicated)} fewer than {policy.replicas} copies on servers that are up.",
                hint,
            )
        )
    corrupt = [state for state in servers if state.heartbeat is not None and state.heartbeat.corrupt_chunk_count]
    for state in corrupt[:_NAMED_MAX]:
        assert state.heartbeat is not None
        count = state.heartbeat.corrupt_chunk_count
        which = "1 chunk that failed its checks" if count == 1 else f"{count} chunks that failed their checks"
        checks.append(
            _warn(
                "CHUNKS_CORRUPT",
                f"{state.record.name} holds {which}; other copies are read.",
                "dstore status --json",
            )
        )
    return checks + _about_lost_files(servers, losses)


def _about_copies(servers: Sequence[ServerState]) -> str:
    """Return what brings copies back: the server that has them, patience, or writing the file once more."""
    absent = next((state.record.name for state in servers if state.phase is ServerPhase.DOWN), None)
    if absent is not None:
        return f"dstore node start {absent}"
    if any(state.phase is not ServerPhase.UP for state in servers):
        return "dstore status"
    return "dstore stat FILE shows what a file lacks; dstore get, then dstore put writes it with all copies"


def _chunks_have(count: int) -> str:
    return "1 chunk has" if count == 1 else f"{count} chunks have"


def _about_lost_files(servers: Sequence[ServerState], losses: Losses) -> list[HealthCheck]:
    troubled = [state for state in servers if state.record.server_id in losses.lacking]
    return [
        _warn(
            "CHUNKS_LACKING",
            f"{state.record.name} acknowledged more chunks than it reports, by "
            f"{losses.lacking[state.record.server_id]}; was its directory emptied, or replaced by an old copy?",
            "dstore status --json",
        )
        for state in troubled[:_NAMED_MAX]
    ]


def _about_writing(policy: Policy, servers: Sequence[ServerState], refusal: DstoreError | None) -> list[HealthCheck]:
    checks: list[HealthCheck] = []
    domains = {domain_of(state.record.server_id, state.record.labels, policy.failure_domain) for state in servers}
    if servers and len(domains) < policy.replicas:
        where = "chunkservers" if policy.failure_domain == "server" else f"{policy.failure_domain}s with chunkservers"
        checks.append(
            _warn(
                "TOO_FEW_SERVERS",
                f"There are {len(domains)} {where}, and the policy wants {policy.replicas} copies of each chunk.",
                f"dstore up --chunkservers {policy.replicas}",
            )
        )
    if refusal is not None and servers:
        checks.append(
            HealthCheck(
                "WRITES_IMPOSSIBLE", Health.ERROR, f"Nothing can be written: {refusal.message}", "dstore status"
            )
        )
    return checks


def _warn(code: str, message: str, hint: str) -> HealthCheck:
    return HealthCheck(code, Health.WARN, message, hint)
