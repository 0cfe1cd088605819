"""``LocalCluster``: a real cluster, with a key and a profile of its own, for as long as a test needs it."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dstore.cli.cluster_file import LocalProcess
from dstore.cli.extras import check_server_extra
from dstore.cli.key_files import create_key_file
from dstore.cli.local_plan import UpRequest, plan_cluster
from dstore.client.arguments import LocalPath
from dstore.client.profile import Profile, resolve_profile, save_profile
from dstore.core.errors import DirectoryNotEmpty, DstoreError, InvalidRequest, NotFound, NotReady
from dstore.core.limits import CLIENT_PATIENCE_S
from dstore.testing.cluster_processes import ClusterProcesses

if TYPE_CHECKING:
    from dstore.client.blocking import Client
    from dstore.client.client import AsyncClient

CHUNKSERVERS_DEFAULT = 3
#: Each is a process of some 60 MiB; no test of a client sees a difference between more of them.
CHUNKSERVERS_MAX = 16
PROFILE = "test"


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a cluster: its processes, and what others need to use it."""

    processes: ClusterProcesses
    directory: Path
    key_file: Path
    environment: dict[str, str]


class LocalCluster:
    """A master and chunkservers as processes on loopback, with data, key and profile in a temporary directory.

        with LocalCluster() as cluster, cluster.connect() as client: ...
        async with LocalCluster() as cluster, cluster.connect_async() as client: ...

    Nothing of the user's own set-up is read or changed. Everything ends with the block, and with this process, also
    when that is killed. In code that runs on an event loop use the second form, and the verbs that end in ``_async``.

    Args:
        chunkservers: 1 to 16. Each chunk has three copies, or as many as there are chunkservers.
        chunk_size_bytes: of the plaintext; 16 MiB unless given. Small ones let small files have many chunks.
        retention_s: for how long what was removed can be restored, and takes space; 24 h unless given.
        directory: for data and logs in place of a temporary one; must be empty or missing, and stays afterwards.

    Raises:
        InvalidRequest: reason ``CHUNKSERVERS_INVALID``, ``CHUNK_SIZE_INVALID`` or ``RETENTION_INVALID``.
    """

    def __init__(
        self,
        chunkservers: int = CHUNKSERVERS_DEFAULT,
        *,
        chunk_size_bytes: int | None = None,
        retention_s: int | None = None,
        directory: LocalPath | None = None,
    ) -> None:
        if type(chunkservers) is not int or not 1 <= chunkservers <= CHUNKSERVERS_MAX:
            raise InvalidRequest(
                f"A test cluster can have 1 to {CHUNKSERVERS_MAX} chunkservers, not {chunkservers!r:.100}: each is a "
                "process of its own. Three are enough to lose one.",
                reason="CHUNKSERVERS_INVALID",
                metadata={"chunkservers": f"{chunkservers!r:.100}"},
            )
        self._chunkservers = chunkservers
        self._chunk_size_bytes = chunk_size_bytes
        self._retention_s = retention_s
        self._wanted_directory = None if directory is None else Path(directory).absolute()
        self._run: _Run | None = None
        # What does not fit is said here, not when the cluster starts.
        plan_cluster(self._request(Path()), None, ())

    def __repr__(self) -> str:
        if self._run is None:
            return f"LocalCluster(chunkservers={self._chunkservers}, not running)"
        stopped = f", stopped={self.stopped}" if self.stopped else ""
        return f"LocalCluster(chunkservers={self._chunkservers}, endpoint={self.endpoint!r}{stopped})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        try:
            await _beside_the_loop(self._start)
        except asyncio.CancelledError:
            await _beside_the_loop(self.stop)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await _beside_the_loop(self.stop)

    # --- For whom `with` does not fit -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the cluster; return once it is healthy and takes writes. Fine when it runs.

        Raises:
            InvalidRequest: reason ``LOOP_RUNNING`` or ``SERVER_EXTRA_MISSING``.
            DirectoryNotEmpty: the given directory is not empty.
            Unavailable: reason ``SERVER_START_FAILED``; its message has the last words of the server.
        """
        _refuse_running_loop("with LocalCluster()", "async with LocalCluster()")
        self._start()

    def stop(self) -> None:
        """Kill all processes and remove what they stored. Fine when the cluster does not run."""
        if self._run is not None:
            self._run.processes.end()
            self._run = None

    # --- How it is reached ----------------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """Host and port of the master. Raises ``NotReady``, as all that follow, when the cluster does not run."""
        return self._running.processes.plan.endpoint

    @property
    def key_file(self) -> Path:
        """The key file of this cluster."""
        return self._running.key_file

    @property
    def directory(self) -> Path:
        """Where everything is: ``logs/``, and the data of ``master``, ``cs-1`` and so on."""
        return self._running.directory

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which other processes use this cluster: ``env={**os.environ, **cluster.environment}``."""
        return dict(self._running.environment)

    @property
    def storage_options(self) -> dict[str, str]:
        """What fsspec, and whatever is built on it, needs to use this cluster."""
        return {"endpoint": self.endpoint, "key_file": str(self.key_file)}

    def connect(
        self,
        *,
        patience_s: float = CLIENT_PATIENCE_S,
        local_reads: str | None = None,
        durability: str | None = None,
    ) -> "Client":
        """Return a client whose calls block, as ``dstore.connect`` does.

        Raises:
            DstoreError: as ``dstore.connect``.
        """
        from dstore.client.connect import connected

        return connected(self.connect_async(patience_s=patience_s, local_reads=local_reads, durability=durability))

    def connect_async(
        self,
        *,
        patience_s: float = CLIENT_PATIENCE_S,
        local_reads: str | None = None,
        durability: str | None = None,
    ) -> "AsyncClient":
        """Return a client for the running event loop, as ``dstore.connect_async`` does.

        Raises:
            DstoreError: as ``dstore.connect_async``.
        """
        from dstore.client.connect import open_client

        environment = self._running.environment
        profile = resolve_profile(environment, local_reads=local_reads, durability=durability)
        return open_client(environment, profile, patience_s=patience_s)

    # --- What tests do to it --------------------------------------------------------------------------------------

    @property
    def chunkservers(self) -> int:
        """How many chunkservers belong to the cluster; they are numbered from 1."""
        return self._chunkservers

    @property
    def stopped(self) -> tuple[int, ...]:
        """The numbers of the chunkservers that do not run now."""
        processes = self._running.processes
        servers = enumerate(processes.plan.chunkservers, start=1)
        return tuple(number for number, process in servers if not processes.is_running(process))

    def stop_chunkserver(self, number: int) -> None:
        """Kill a chunkserver, as a crash would; what is on its disk stays. Fine when it does not run.

        The master counts it as suspect after 3 s and as down after 6 s; clients notice at once.

        Raises:
            InvalidRequest: reason ``LOOP_RUNNING``.
            NotFound: reason ``NODE_UNKNOWN``.
        """
        _refuse_running_loop("stop_chunkserver()", "await stop_chunkserver_async()")
        self._stop_chunkserver(number)

    async def stop_chunkserver_async(self, number: int) -> None:
        """Do the work of ``stop_chunkserver`` beside the running loop."""
        await _beside_the_loop(lambda: self._stop_chunkserver(number))

    def start_chunkserver(self, number: int) -> None:
        """Start a chunkserver again, with what is on its disk; return once it takes writes. Fine when it runs.

        Raises:
            InvalidRequest: reason ``LOOP_RUNNING``.
            NotFound: reason ``NODE_UNKNOWN``.
            Unavailable: reason ``SERVER_START_FAILED``.
        """
        _refuse_running_loop("start_chunkserver()", "await start_chunkserver_async()")
        self._start_chunkserver(number)

    async def start_chunkserver_async(self, number: int) -> None:
        """Do the work of ``start_chunkserver`` beside the running loop."""
        await _beside_the_loop(lambda: self._start_chunkserver(number))

    def reset(self) -> None:
        """Start every chunkserver that does not run, and remove all files and directories.

        Raises:
            DstoreError: as ``start_chunkserver``, ``connect`` and ``Client.remove``.
        """
        _refuse_running_loop("reset()", "await reset_async()")
        self._reset()

    async def reset_async(self) -> None:
        """Do the work of ``reset`` beside the running loop."""
        await _beside_the_loop(self._reset)

    # --- The work -------------------------------------------------------------------------------------------------

    @property
    def _running(self) -> _Run:
        if self._run is None:
            raise NotReady(
                "This cluster does not run; use it inside `with LocalCluster() as cluster:`, or call start() first.",
                reason="CLUSTER_NOT_RUNNING",
            )
        return self._run

    def _request(self, directory: Path) -> UpRequest:
        return UpRequest(
            directory,
            PROFILE,
            chunkservers=self._chunkservers,
            chunk_size_bytes=self._chunk_size_bytes,
            retention_s=self._retention_s,
        )

    def _start(self) -> None:
        if self._run is not None:
            return
        check_server_extra()
        directory = self._make_directory()
        plan = plan_cluster(self._request(directory), None, ())
        processes = ClusterProcesses(plan, directory, is_temporary=self._wanted_directory is None)
        try:
            key_file, environment = _make_profile(directory, processes.plan.endpoint)
            processes.start()
        except BaseException:
            processes.end()
            raise
        self._run = _Run(processes, directory, key_file, environment)

    def _make_directory(self) -> Path:
        if self._wanted_directory is None:
            return Path(tempfile.mkdtemp(prefix="dstore-test-")).resolve()
        self._wanted_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(self._wanted_directory.iterdir()):
            raise DirectoryNotEmpty(
                f"{self._wanted_directory} is not empty, and a test cluster starts with nothing; empty it, or name "
                "another directory.",
                metadata={"path": str(self._wanted_directory)},
            )
        return self._wanted_directory

    def _stop_chunkserver(self, number: int) -> None:
        self._running.processes.kill(self._chunkserver(number))

    def _start_chunkserver(self, number: int) -> None:
        self._running.processes.start_again(self._chunkserver(number))

    def _chunkserver(self, number: int) -> LocalProcess:
        if type(number) is not int or not 1 <= number <= self._chunkservers:
            raise NotFound(
                f"There is no chunkserver {number!r:.100}; this cluster has the numbers 1 to {self._chunkservers}.",
                reason="NODE_UNKNOWN",
                metadata={"number": f"{number!r:.100}"},
            )
        return self._running.processes.plan.chunkservers[number - 1]

    def _reset(self) -> None:
        for number in self.stopped:
            self._start_chunkserver(number)
        with self.connect() as client:
            paths = [info.path for info in client.list("/")]
            for outcome in client.remove_many(paths, recursive=True):
                if isinstance(outcome, DstoreError):
                    raise outcome


def _make_profile(directory: Path, endpoint: str) -> tuple[Path, dict[str, str]]:
    """Make a key and a profile; return the key file, and the variables that lead others to both."""
    configuration = directory / "config"
    key_file = configuration / "keys" / f"{PROFILE}.key"
    create_key_file(key_file, None)
    save_profile(configuration, Profile(PROFILE, endpoint, key_file, None))
    return key_file, {
        "DSTORE_CONFIG_DIR": str(configuration),
        "DSTORE_STATE_DIR": str(directory / "state"),
        "DSTORE_PROFILE": PROFILE,
        "DSTORE_ENDPOINT": endpoint,
        "DSTORE_KEY_FILE": str(key_file),
        # The user's own may be set, and this key has none.
        "DSTORE_PASSPHRASE_FILE": "",
    }


def _refuse_running_loop(what: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise InvalidRequest(
        f"An event loop runs in this thread, and {what} would keep it waiting; write `{instead}`.",
        reason="LOOP_RUNNING",
    )


async def _beside_the_loop(work: Callable[[], None]) -> None:
    """Run what blocks on a thread. It ends before this does, also when the caller is cancelled.

    Otherwise processes would come and go behind the back of whoever cleans up after the cancellation.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            # The cancellation is what the caller hears of.
            running.exception()
        raise
