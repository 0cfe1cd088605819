"""A scripted cluster with a short retention, in which files come to their end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from master_harness import POLICY
from scripted_servers import ScriptedCluster, scripted_cluster

RETENTION_S = 100
GRACE_S = 60


@asynccontextmanager
async def deleting_cluster(directory: Path) -> AsyncIterator[ScriptedCluster]:
    """Four servers, retention of 100 s, a master that has just taken the lead."""
    async with scripted_cluster(directory, replace(POLICY, retention_s=RETENTION_S)) as scripted:
        yield scripted


async def end_time(cluster: ScriptedCluster) -> None:
    """Let the retention and the grace of what was removed or replaced pass."""
    await cluster.run(RETENTION_S + RETENTION_S // 8)
    await cluster.rounds(1)
    await cluster.run(GRACE_S)


async def delete(cluster: ScriptedCluster, path: str) -> None:
    """Remove a file, and let its retention and its grace pass."""
    await cluster.harness.remove(path)
    await end_time(cluster)
