"""A client's hold on one cluster: the first contact, the keys when they are needed, and the end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dstore.client.batching import BatchingNamespace
from dstore.client.forks import ForkGuard
from dstore.client.hedging import Hedging
from dstore.client.high_water import HighWaterMarks
from dstore.client.local_chunks import LocalChunks
from dstore.client.local_files import run_blocking
from dstore.client.retries import Retries
from dstore.client.retrying import RetryingAdmin, RetryingNamespace
from dstore.client.servers import AvoidedServers, ServerUse
from dstore.client.session import Session
from dstore.client.small_files import SmallFiles
from dstore.core.environment import Clock, Random
from dstore.core.errors import DstoreError, InvalidRequest, NotReady
from dstore.core.files import ClusterInfo, FileInfo, RemoveResult
from dstore.core.ids import ClusterId, RequestId
from dstore.core.interfaces import Admin, Namespace, Peers
from dstore.core.limits import KIB, MIB
from dstore.crypto.keys import Keyring

#: glibc's largest threshold is 32 MiB, block header included (DEFAULT_MMAP_THRESHOLD_MAX in malloc.c).
_FREED_BLOCK_SIZE_BYTES = 32 * MIB - 64 * KIB


@dataclass(frozen=True, slots=True)
class Services:
    """The other side: what a client calls, and how to let go of it."""

    namespace: Namespace
    admin: Admin
    peers: Peers
    close: Callable[[], Awaitable[None]]
    local: LocalChunks | None = None


class Contact:
    """Makes contact with the first call, and checks before every call that there still is any."""

    def __init__(
        self,
        services: Callable[[], Services],
        *,
        load_keyring: Callable[[], Keyring],
        clock: Clock,
        random: Random,
        marks: HighWaterMarks,
        endpoint: str,
        cluster_id: ClusterId | None,
        patience_s: float,
    ) -> None:
        """See ``AsyncClient``."""
        self._guard = ForkGuard()
        self._make_services = services
        self._load_keyring = load_keyring
        self._clock = clock
        self._random = random
        self._marks = marks
        self._endpoint = endpoint
        self._cluster_id = cluster_id
        self._retries = Retries(endpoint=endpoint, clock=clock, random=random, patience_s=patience_s)
        self.hedging = Hedging(clock)
        self._services: Services | None = None
        self._batching: BatchingNamespace | None = None
        self._namespace: RetryingNamespace | None = None
        self._cluster: ClusterInfo | None = None
        self._session: Session | None = None
        self._small_files: SmallFiles | None = None
        self._first_use = asyncio.Lock()
        self._failure: DstoreError | None = None
        self._is_closed = False

    @property
    def is_usable(self) -> bool:
        """Whether it is still open, in the process that opened it."""
        return not self._is_closed and not self._guard.is_forked

    async def close(self) -> None:
        """Remember what was seen, and close all connections."""
        self._is_closed = True
        try:
            await self._marks.close()
        finally:
            if self._services is not None:
                assert self._batching is not None
                await self._batching.close()
                await self._services.close()

    async def cluster(self) -> ClusterInfo:
        """Return what the master said first.

        Raises:
            Unavailable: reason ``MASTER_UNREACHABLE``.
            NotReady: reason ``NOT_A_DSTORE_MASTER``, ``WRONG_CLUSTER`` or ``FORKED``.
        """
        await self._reach()
        assert self._cluster is not None
        return self._cluster

    async def namespace(self) -> Namespace:
        """Return the master's namespace; raises as ``cluster``."""
        await self._reach()
        assert self._namespace is not None
        return self._namespace

    async def admin(self) -> Admin:
        """Return the master's view for operators; raises as ``cluster``."""
        return RetryingAdmin((await self._reach()).admin, self._retries)

    async def session(self) -> Session:
        """Return what reading and writing files needs, keys included.

        Raises:
            DstoreError: as ``cluster``, and what loading the keys raises.
        """
        services = await self._reach()
        if self._session is not None:
            return self._session
        async with self._first_use:
            if self._session is None:
                assert self._cluster is not None and self._namespace is not None
                _keep_freed_memory()
                self._session = Session(
                    cluster=self._cluster,
                    namespace=self._namespace,
                    peers=services.peers,
                    # In a thread: a passphrase is slow to check, on purpose.
                    keyring=await run_blocking(self._load_keyring),
                    clock=self._clock,
                    random=self._random,
                    marks=self._marks,
                    avoided=AvoidedServers(self._clock),
                    use=ServerUse(),
                    hedging=self.hedging,
                    guard=self._guard,
                    local=services.local,
                )
        return self._session

    async def small_files(self) -> SmallFiles:
        """Return what stores small files; raises as ``session``."""
        session = await self.session()
        if self._small_files is None:
            self._small_files = SmallFiles(session)
        return self._small_files

    async def resolve(self, request_id: RequestId) -> FileInfo | RemoveResult:
        """Repeat a mutation whose outcome is unknown; raises as ``Retries.resolve``."""
        await self._reach()
        result: FileInfo | RemoveResult = await self._retries.resolve(request_id)
        return result

    async def _reach(self) -> Services:
        self._guard.check()
        if self._is_closed:
            raise InvalidRequest("This client is closed; connect again.", reason="CLIENT_CLOSED")
        if self._services is not None and self._cluster is not None:
            return self._services
        failure_before = self._failure
        async with self._first_use:
            if self._services is None:
                self._services = self._make_services()
                self._batching = BatchingNamespace(self._services.namespace)
                self._namespace = RetryingNamespace(self._batching, self._retries)
            if self._cluster is None:
                if self._failure is not None and self._failure is not failure_before:
                    # Whoever waited for a first contact that failed has had its share of patience.
                    raise type(self._failure)(
                        self._failure.message, reason=self._failure.reason, metadata=self._failure.metadata
                    )
                await self._make_contact()
            return self._services

    async def _make_contact(self) -> None:
        assert self._namespace is not None
        try:
            cluster = await self._namespace.get_cluster()
            self._check_cluster(cluster)
        except DstoreError as error:
            self._failure = error
            raise
        self._cluster = cluster

    def _check_cluster(self, cluster: ClusterInfo) -> None:
        if self._cluster_id is not None and cluster.cluster_id != self._cluster_id:
            raise NotReady(
                f"The master at {self._endpoint} is that of cluster {cluster.cluster_id}, but the profile is for "
                f"{self._cluster_id}. Correct the endpoint, or make a profile for the other cluster.",
                reason="WRONG_CLUSTER",
                metadata={"cluster_id": cluster.cluster_id, "expected_cluster_id": self._cluster_id},
            )


def _keep_freed_memory() -> None:
    """Let the allocator keep the memory of freed frames for the next ones.

    glibc maps every block of a mebibyte afresh, and pays for it with page faults, until a larger one was freed once;
    then it keeps up to twice as much. The block is never touched, so it costs nothing. Reads gain about a quarter.
    """
    block = bytes(_FREED_BLOCK_SIZE_BYTES)
    del block
