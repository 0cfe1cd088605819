"""The state of the cluster, as ``dstore status`` shows it, for pages and programs."""

import asyncio

from dstore.client.client import AsyncClient
from dstore.core.environment import Clock
from dstore.core.errors import Unavailable
from dstore.core.status import ClusterStatus, HealthCheck, ServerStatus
from dstore.core.traffic import Traffic
from dstore.gateway.conditions import iso_date
from dstore.gateway.limits import STATUS_AGE_S_MAX, STATUS_TIMEOUT_S


class ClusterView:
    """The state of the cluster for any number of people who look: the master is asked once a second at most."""

    def __init__(self, client: AsyncClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._asking: asyncio.Task[ClusterStatus] | None = None
        self._asked_s = 0.0

    async def status(self) -> ClusterStatus:
        """Return what the master said a moment ago, or says.

        Raises:
            Unavailable: reason ``MASTER_UNREACHABLE``: it does not answer.
            DstoreError: as ``AsyncClient.status``.
        """
        now_s = self._clock.monotonic_s()
        asking = self._asking
        if asking is None or (asking.done() and now_s - self._asked_s >= STATUS_AGE_S_MAX):
            self._asked_s = now_s
            asking = self._asking = asyncio.create_task(self._ask(), name="cluster-status")
            asking.add_done_callback(_look_at)
        # Whoever goes away must not take the answer from the others.
        await asyncio.wait([asking])
        return asking.result()

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> ClusterStatus:
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                return await self._client.status()
        except TimeoutError:
            raise Unavailable(
                f"The master did not answer within {STATUS_TIMEOUT_S:.0f} s; see whether it runs. This gateway goes on "
                "asking it.",
                reason="MASTER_UNREACHABLE",
            ) from None


def _look_at(asking: asyncio.Task[ClusterStatus]) -> None:
    """Take note of what it failed with, also when nobody waits any more."""
    if not asking.cancelled():
        asking.exception()


def cluster_value(status: ClusterStatus) -> dict[str, object]:
    """Return what JSON says of a cluster."""
    return {
        "cluster_id": status.cluster_id,
        "version": status.version,
        "time": iso_date(status.time_ns) if status.time_ns else None,
        "health": status.health.value,
        "summary": status.summary,
        "checks": [_check_value(check) for check in status.checks],
        "nodes_up": status.servers_up,
        "nodes_total": status.servers_total,
        "nodes": [_node_value(server) for server in status.servers],
        "groups": status.group_count,
        "group_states": {
            "whole": status.group_states.whole,
            "filling": status.group_states.filling,
            "degraded": status.group_states.degraded,
            "unavailable": status.group_states.unavailable,
        },
        "traffic": _traffic_value(status.traffic),
        "repair": {
            "filling_copies": status.repair.filling_copies,
            "left_bytes": status.repair.left_bytes,
            "bytes_per_s": status.repair.bytes_per_s,
            "left_s": status.repair.left_s,
        },
        "files": status.file_count,
        "directories": status.directory_count,
        "chunks": status.chunk_count,
        "under_replicated_chunks": status.under_replicated_chunks,
        "unavailable_chunks": status.unavailable_chunks,
        "deleted_chunks": status.deleted_chunks,
        "trashed_copies": status.trashed_copies,
        "unsynced_copies": status.unsynced_copies,
        "logical_bytes": status.logical_bytes,
        "stored_bytes": status.stored_bytes,
        "retained_files": status.retained_file_count,
        "retained_bytes": status.retained_bytes,
        "writes_in_progress": status.writes_in_progress,
        "total_bytes": status.capacity.total_bytes,
        "used_bytes": status.capacity.used_bytes,
        "replicas": status.policy.replicas,
        "chunk_size_bytes": status.policy.chunk_size_bytes,
        "retention_s": status.policy.retention_s,
    }


def _check_value(check: HealthCheck) -> dict[str, object]:
    return {"code": check.code, "severity": check.severity.value, "message": check.message, "command": check.hint}


def _node_value(server: ServerStatus) -> dict[str, object]:
    return {
        "name": server.name,
        "address": server.address,
        "host": server.labels.host,
        "rack": server.labels.rack,
        "version": server.version,
        "phase": server.phase.value,
        "duty": server.duty.value,
        "heard_s_ago": server.last_heartbeat_age_s,
        "total_bytes": server.capacity.total_bytes,
        "used_bytes": server.capacity.used_bytes,
        "chunks": server.chunk_count,
        "missing_chunks": server.missing_chunk_count,
        "corrupt_chunks": server.corrupt_chunk_count,
        "unsynced_chunks": server.unsynced_chunk_count,
        "groups": server.group_count,
        "groups_led": server.lead_count,
        "filling_groups": server.filling_count,
        "probe_latency_s": server.probe_latency_s,
        "traffic": _traffic_value(server.traffic),
        "scrub_position": server.scrub_position,
        "scrub_age_s": server.scrub_age_s,
    }


def _traffic_value(traffic: Traffic) -> dict[str, int]:
    rates = traffic.per_s
    return {
        "read_bytes_per_s": rates.read_bytes,
        "write_bytes_per_s": rates.write_bytes,
        "copied_bytes_per_s": rates.copied_bytes,
        "scrubbed_bytes_per_s": rates.scrubbed_bytes,
    }
