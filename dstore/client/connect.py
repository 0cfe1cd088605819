"""Connects to a real cluster: the one place of the client that reads the environment."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dstore.client.arguments import LocalPath
from dstore.client.blocking import Client
from dstore.client.client import AsyncClient
from dstore.client.contact import Services
from dstore.client.high_water import HighWaterMarks, SqliteHighWaterFile
from dstore.client.local_chunks import LocalChunks
from dstore.client.local_socket import LocalSocketClient
from dstore.client.operating import RequestIds
from dstore.client.profile import Profile, resolve_profile, state_directory
from dstore.core.errors import PermissionDenied
from dstore.core.ids import ServerId
from dstore.core.limits import CLIENT_PATIENCE_S
from dstore.core.local_reads import LocalReads
from dstore.crypto.keyring import load_keyring
from dstore.crypto.keys import Keyring
from dstore.rpc.channel import Connections
from dstore.system.environment import SystemClock, SystemRandom
from dstore.system.telemetry import use_that_of_the_program


def connect_async(
    endpoint: str | None = None,
    *,
    profile: str | None = None,
    key_file: LocalPath | None = None,
    patience_s: float = CLIENT_PATIENCE_S,
    local_reads: str | None = None,
    durability: str | None = None,
) -> AsyncClient:
    """Return a client for the running event loop: ``async with connect_async() as client``, or await it.

    Arguments win over DSTORE_ENDPOINT, DSTORE_PROFILE, DSTORE_KEY_FILE, DSTORE_LOCAL_READS and DSTORE_DURABILITY, and
    these over the profile. A passphrase comes from the file that DSTORE_PASSPHRASE_FILE names, or from
    DSTORE_PASSPHRASE. Versions that were seen are remembered in DSTORE_STATE_DIR.

    Args:
        patience_s: how long calls are repeated while the master is away.
        local_reads: with which chunkservers on this machine open files are shared: "own", those that run as this user
            or as root, which is the default; "any"; or "off".
        durability: what an acknowledged write promises, unless a call says otherwise: "synced" or "replicated", see
            ``AsyncClient.put``.

    Raises:
        InvalidRequest: profile, configuration file or endpoint are invalid, or there are none.
        NotReady: reason ``FORKED``.
    """
    chosen = resolve_profile(
        os.environ,
        endpoint=endpoint,
        profile=profile,
        key_file=key_file,
        local_reads=local_reads,
        durability=durability,
    )
    return open_client(os.environ, chosen, patience_s=patience_s)


def open_client(environ: Mapping[str, str], chosen: Profile, *, patience_s: float = CLIENT_PATIENCE_S) -> AsyncClient:
    """Return a client of the cluster of a profile, with that key; the rest of the settings come from ``environ``.

    Raises:
        NotReady: reason ``FORKED``.
    """
    passphrase_file = environ.get("DSTORE_PASSPHRASE_FILE")
    passphrase = environ.get("DSTORE_PASSPHRASE")

    def services() -> Services:
        connections = Connections()
        master = connections.connection(chosen.endpoint)
        local = _local_chunks(chosen.local_reads)

        async def close() -> None:
            if local is not None:
                await local.close()
            await connections.close()

        return Services(master.namespace, master.admin, connections, close, local)

    def keyring() -> Keyring:
        return _load_keyring(chosen, passphrase_file, passphrase)

    use_that_of_the_program(environ)
    random = SystemRandom()
    client = AsyncClient(
        services,
        load_keyring=keyring,
        clock=SystemClock(),
        random=random,
        marks=HighWaterMarks(SqliteHighWaterFile(state_directory(environ))),
        endpoint=chosen.endpoint,
        cluster_id=chosen.cluster_id,
        patience_s=patience_s,
        durability=chosen.durability,
    )
    client.request_ids = RequestIds(random.token_bytes(6).hex())
    return client


def connect(
    endpoint: str | None = None,
    *,
    profile: str | None = None,
    key_file: LocalPath | None = None,
    patience_s: float = CLIENT_PATIENCE_S,
    local_reads: str | None = None,
    durability: str | None = None,
) -> Client:
    """Connect and return a client whose calls block; the arguments are those of ``connect_async``.

    Raises:
        Unavailable: reason ``MASTER_UNREACHABLE``.
        NotReady: reason ``NOT_A_DSTORE_MASTER``, ``WRONG_CLUSTER`` or ``FORKED``.
        InvalidRequest: as ``connect_async``.
    """
    return connected(
        connect_async(
            endpoint,
            profile=profile,
            key_file=key_file,
            patience_s=patience_s,
            local_reads=local_reads,
            durability=durability,
        )
    )


def connected(opened: AsyncClient) -> Client:
    """Return the blocking form of a client, which must not be used elsewhere, once its cluster has answered.

    Raises:
        DstoreError: as ``connect``.
    """
    client = Client(opened)
    try:
        client.cluster()
    except BaseException:
        client.close()
        raise
    return client


def _local_chunks(allowed: LocalReads) -> LocalChunks | None:
    # Only Linux has sockets with abstract names, which say who is on the other side.
    if allowed is LocalReads.OFF or not sys.platform.startswith("linux"):
        return None
    clock, own_uid = SystemClock(), os.geteuid()

    def connect_locally(server_id: ServerId) -> LocalSocketClient:
        return LocalSocketClient(server_id, clock, allowed=allowed, own_uid=own_uid)

    return LocalChunks(connect_locally, clock, turn=SystemRandom().uniform())


def _load_keyring(profile: Profile, passphrase_file: str | None, passphrase: str | None) -> Keyring:
    if profile.key_file is None:
        raise PermissionDenied(
            "No key file is configured, so files can be neither read nor written. Name one with --key-file or "
            "DSTORE_KEY_FILE, or make one with `dstore key init`.",
            reason="NO_KEY_FILE",
        )
    if passphrase_file:
        passphrase = _read_passphrase(Path(passphrase_file))
    return load_keyring(profile.key_file.expanduser(), passphrase)


def _read_passphrase(path: Path) -> str:
    """Return the first line of the file."""
    try:
        return path.read_text(encoding="utf-8").split("\n", 1)[0].removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise PermissionDenied(
            f"The passphrase file {path} cannot be read: {error}. Correct DSTORE_PASSPHRASE_FILE.",
            reason="PASSPHRASE_FILE_UNREADABLE",
            metadata={"path": str(path)},
        ) from error
