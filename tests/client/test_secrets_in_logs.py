"""Invariant 11 on the client's side: whatever goes wrong, and however much is logged, no plaintext and no key is in a
log, an error, a traceback or a ``repr``.
"""

import asyncio
import base64
import logging
import traceback
from collections.abc import Callable, Iterator

import pytest
from store_in_process import CHUNK_SIZE, RANDOM, InProcessCluster, flip_frame

from dstore.client import chunk_sending, placements, writer
from dstore.core.backoff import Backoff
from dstore.core.errors import DstoreError
from dstore.crypto.keys import Kek, Keyring, unwrap_dek

CANARY = b"dstore-canary-5d1f8a520c3d"


@pytest.fixture(autouse=True)
def everything_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(placements, "ALLOCATE_PATIENCE_S", 0.1)
    monkeypatch.setattr(chunk_sending, "STREAM_STALL_TIMEOUT_S", 0.3)
    monkeypatch.setattr("dstore.client.chunk_fetching.STREAM_STALL_TIMEOUT_S", 0.3)
    monkeypatch.setattr(writer, "Backoff", lambda: Backoff(0.001, 0.002))
    caplog.set_level(logging.DEBUG)


def forms(secret: bytes) -> Iterator[str]:
    """Yield how a secret may be written."""
    yield from (secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode().rstrip("="), repr(secret)[2:-1])
    yield repr(list(secret))[1:-1]
    yield secret.decode("latin-1")


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def words_of(error: DstoreError) -> str:
    each = "".join(f"{one}{one!r}{one.args}{vars(one)}" for one in chain_of(error))
    return each + "".join(traceback.format_exception(error))


def secrets_of(cluster: InProcessCluster, deks: list[bytes]) -> list[bytes]:
    return [CANARY, *deks, *(key.reveal() for key in cluster.keyring.keys)]


async def test_of_a_client_at_work_and_in_trouble(cluster: InProcessCluster, caplog: pytest.LogCaptureFixture) -> None:
    asyncio.get_running_loop().set_debug(True)
    asyncio.get_running_loop().slow_callback_duration = 0
    client = cluster.client()
    data = CANARY * (CHUNK_SIZE // len(CANARY) + 9)
    said: list[str] = []

    async def put_and_read(path: str = "/f") -> None:
        await client.put(path, data)
        assert await client.get(path) == data
        async with await client.open(path) as file:
            said.append(repr(file) + repr(file._reader.file) + repr(file.info))
            await file.read(100)
        await client.rename(path, "/g")

    await put_and_read()
    opened = await cluster.master.namespace.open_file("/g")
    keyring, cluster_id = cluster.keyring, opened.cluster_id
    deks = [unwrap_dek(keyring, opened.wrapped_keys, cluster_id, opened.info.file_id, "/g")]
    session = await client._contact.session()
    said += [repr(client), repr(session), repr(keyring), repr(keyring.active), str(keyring.keys), repr(opened)]

    async def in_trouble(attempt: Callable[[], object]) -> None:
        try:
            await attempt()  # type: ignore[misc]
        except DstoreError as error:
            said.append(words_of(error))
            logging.getLogger("application").exception("It failed.")

    stranger = cluster.client(keyring=Keyring([Kek(RANDOM.token_bytes(32))]))
    await in_trouble(lambda: stranger.get("/g"))
    for number in (1, 2, 3):
        cluster.faults(number).alter_read = flip_frame
    await in_trouble(lambda: client.get("/g"))
    for number in (1, 2, 3):
        cluster.faults(number).alter_read = None
        cluster.faults(number).is_down = True
    await in_trouble(lambda: client.get("/g"))
    await in_trouble(lambda: client.put("/h", data))
    for number in (1, 2, 3):
        cluster.faults(number).is_down = False
    await cluster.sql("UPDATE inodes SET sealed_manifest = x'00' WHERE kind = 'file'")
    await in_trouble(lambda: client.get("/g"))
    await in_trouble(lambda: client.rename("/g", "/f"))
    await cluster.sql("UPDATE inodes SET wrapped_keys = '[]' WHERE kind = 'file'")
    await in_trouble(lambda: client.get("/g"))
    assert len(said) == 7 + 7
    everything = caplog.text + "".join(said)
    assert "It failed." in everything and "Executing" in everything, "the search must have something to find"
    for secret in secrets_of(cluster, deks):
        for form in forms(secret):
            assert form not in everything, everything[max(0, everything.index(form) - 300) :][:600]
