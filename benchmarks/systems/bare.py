"""The bare gRPC pipeline: what grpc.aio in Python gives when nothing is encrypted, checked or remembered."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.bare_hop import PipelineOptions
from benchmarks.bare_pipeline import HOPS, open_hops
from benchmarks.systems.base import ClientProcess, Variant, open_client_process
from benchmarks.workloads import Workload

FILES = "fsync of each chunk file on 3 hops, no directory synced; nothing encrypted or checked"
CALLS = "nothing stored: one unary call through one hop"


class BareSession:
    """Running hops with a client process."""

    name = "bare grpc"
    copies = HOPS

    def __init__(self, client: ClientProcess, pids: Mapping[str, int]) -> None:
        self.client = client
        self._pids = dict(pids)

    def pids(self) -> Mapping[str, int]:
        """Return the pid of every hop by its name."""
        return self._pids

    def variants(self, workload: Workload) -> tuple[Variant, ...]:
        """Return the one way in which it does large files and small calls."""
        if workload.verb in {"write-large", "read-large"}:
            return (Variant("files", FILES),)
        if workload.verb in {"write-small", "read-small"}:
            return (Variant("calls", CALLS),)
        return ()

    async def reclaim(self) -> None:
        """Do nothing: files go when they are dropped."""


@asynccontextmanager
async def open_bare(directory: Path) -> AsyncIterator[BareSession]:
    """Start the hops below ``directory`` with their client, and end both with the block."""
    options = replace(PipelineOptions(), fresh_files=True)
    async with open_hops(directory, options) as (address, pids):
        settings = {"address": address, "options": options.to_json(), "directory": str(directory)}
        async with open_client_process("bare", settings) as client:
            yield BareSession(client, {f"hop-{number}": pid for number, pid in enumerate(pids, start=1)})
