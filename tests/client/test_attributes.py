"""What a writer says of a file besides its content: sealed with it, found by every reader, bounded."""

import pytest
from store_in_process import CHUNK_SIZE, pattern

from dstore.client.client import AsyncClient
from dstore.core.errors import InvalidRequest, LimitExceeded
from dstore.core.manifest import ATTRIBUTES_SIZE_BYTES_MAX, sorted_attributes


@pytest.mark.parametrize(
    "attributes",
    [{}, {"a": b""}, {"b": b"2", "a": b"\0\xff"}, {"z": b"", "ä": b"1", "😀": b"2"}, {"n" * 255: b"x" * 10_000}],
)
@pytest.mark.parametrize("size", [0, 5, 3 * CHUNK_SIZE])
async def test_attributes_in_and_out(client: AsyncClient, attributes: dict[str, bytes], size: int) -> None:
    async with await client.open_write("/a") as file:
        file.set_attributes({"said": b"before"})
        await file.write(pattern(size))
        file.set_attributes(attributes)
    await client.rename("/a", "/" + "n" * 255)
    async with await client.open_read("/" + "n" * 255) as opened:
        assert opened.attributes == attributes
        assert await opened.read() == pattern(size)


async def test_a_file_that_replaces_another_has_its_own(client: AsyncClient) -> None:
    async with await client.open_write("/a") as file:
        file.set_attributes({"a": b"1"})
    await client.put("/a", b"small")
    async with await client.open_read("/a") as opened:
        assert opened.attributes == {}


async def test_a_closed_file_takes_none(client: AsyncClient) -> None:
    async with await client.open_write("/a") as file:
        pass
    with pytest.raises(InvalidRequest) as caught:
        file.set_attributes({})
    assert caught.value.reason == "FILE_CLOSED"


@pytest.mark.parametrize(
    "attributes",
    [{"": b""}, {"n" * 256: b""}, {"\ud800": b""}, {"a": "text"}, {"a": 5}, {1: b""}, {"a": None}, {"ä" * 128: b""}],
)
def test_attributes_that_are_none(attributes: dict[str, bytes]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sorted_attributes(attributes)
    assert caught.value.reason == "ATTRIBUTES_INVALID"


def test_attributes_are_bounded() -> None:
    fits = {"a": b"x" * (ATTRIBUTES_SIZE_BYTES_MAX - 1)}
    assert sorted_attributes(fits) == tuple(fits.items())
    with pytest.raises(LimitExceeded) as caught:
        sorted_attributes({"a": fits["a"] + b"x"})
    assert caught.value.reason == "ATTRIBUTES_TOO_LARGE"


def test_attributes_are_sorted_by_their_bytes() -> None:
    assert [name for name, _ in sorted_attributes({"ä": b"", "z": b"", "a": b"", "😀": b""})] == ["a", "z", "ä", "😀"]
