"""The reasons why a cluster is not well, each with the command that helps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dstore.core.errors import DstoreError
from dstore.core.files import Policy
from dstore.core.groups import ServerPhase
from dstore.core.ids import ServerId
from dstore.core.status import Health, HealthCheck
from dstore.master.membership import ServerState
from dstore.master.placement import domain_of
from dstore.master.server_health import NAMED_MAX, about_servers, warn


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
    *,
    running_s: int = 0,
    further: Sequence[HealthCheck] = (),
) -> tuple[HealthCheck, ...]:
    """Return what is wrong, the worst first; nothing means HEALTH_OK. ``servers`` are sorted by name."""
    checks = [
        *about_servers(servers, running_s),
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
            warn(
                "CHUNKS_UNDER_REPLICATED",
                f"{_chunks_have(losses.under_replicated)} fewer than {policy.replicas} copies on servers that are up.",
                hint,
            )
        )
    return checks + _about_lost_files(servers, losses)


def _about_copies(servers: Sequence[ServerState]) -> str:
    """Return what brings copies back: the server that has them, or patience, since they are made anew."""
    absent = next((state.record.name for state in servers if state.phase is ServerPhase.DOWN), None)
    if absent is not None:
        return f"dstore node start {absent}"
    return "dstore status"


def _chunks_have(count: int) -> str:
    return "1 chunk has" if count == 1 else f"{count} chunks have"


def _about_lost_files(servers: Sequence[ServerState], losses: Losses) -> list[HealthCheck]:
    troubled = [state for state in servers if state.record.server_id in losses.lacking]
    return [
        warn(
            "CHUNKS_LACKING",
            f"{state.record.name} acknowledged more chunks than it reports, by "
            f"{losses.lacking[state.record.server_id]}; was its directory emptied, or replaced by an old copy? It is "
            "filled again.",
            "dstore status",
        )
        for state in troubled[:NAMED_MAX]
    ]


def _about_writing(policy: Policy, servers: Sequence[ServerState], refusal: DstoreError | None) -> list[HealthCheck]:
    checks: list[HealthCheck] = []
    domains = {domain_of(state.record.server_id, state.record.labels, policy.failure_domain) for state in servers}
    if servers and len(domains) < policy.replicas:
        where = "chunkservers" if policy.failure_domain == "server" else f"{policy.failure_domain}s with chunkservers"
        checks.append(
            warn(
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
