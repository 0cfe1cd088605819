"""Messages of the local socket: one valid encoding, as docs/local-reads.md has it, and nothing else is read."""

import pytest

from dstore.core.errors import InvalidRequest
from dstore.core.ids import ChunkId, ClusterId, GroupId, ServerId
from dstore.core.limits import LOCAL_TOKEN_SIZE_BYTES_MAX
from dstore.rpc.local_messages import (
    ANSWER_SIZE_BYTES_MAX,
    REQUEST_SIZE_BYTES_MAX,
    LocalAnswer,
    LocalRequest,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
    socket_name,
)

CLUSTER = ClusterId("6f2c1a52-93b1-4d1f-8a57-0f9be7d9a001")
SERVER = ServerId("0c9e3f7a-5b1d-4c55-9a52-7d4f0e2b8c01")
CHUNK = ChunkId(GroupId(42), 499)
REQUEST = LocalRequest(CLUSTER, SERVER, CHUNK, b"")
GIVEN = LocalAnswer(CLUSTER, SERVER, CHUNK, offset=4096, length_bytes=11)
REFUSED = LocalAnswer(CLUSTER, SERVER, CHUNK, refusal="CHUNK_NOT_FOUND")

IDENTITY = "6f2c1a5293b14d1f8a570f9be7d9a001" + "0c9e3f7a5b1d4c559a527d4f0e2b8c01" + "0000002a" + "00000000000001f3"
REQUEST_HEX = "6473746f72654c51" + "00000001" + IDENTITY + "0000"
GIVEN_HEX = "6473746f72654c41" + "00000001" + IDENTITY + "0000000000001000" + "000000000000000b" + "0000"


def test_the_examples_of_the_documentation() -> None:
    assert encode_request(REQUEST).hex() == REQUEST_HEX
    assert encode_answer(GIVEN).hex() == GIVEN_HEX
    assert encode_answer(REFUSED).endswith(b"\x00\x0fCHUNK_NOT_FOUND")
    assert socket_name(SERVER) == b"\0dstore/chunkserver/0c9e3f7a-5b1d-4c55-9a52-7d4f0e2b8c01"
    assert len(socket_name(SERVER)) <= 108, "the room that Linux gives to a name"


@pytest.mark.parametrize("token_size", [0, 1, LOCAL_TOKEN_SIZE_BYTES_MAX - 1, LOCAL_TOKEN_SIZE_BYTES_MAX])
def test_requests_come_back_with_their_token(token_size: int) -> None:
    request = LocalRequest(CLUSTER, SERVER, CHUNK, bytes(token_size))
    packet = encode_request(request)
    assert len(packet) <= REQUEST_SIZE_BYTES_MAX
    assert decode_request(packet) == request


@pytest.mark.parametrize("answer", [GIVEN, REFUSED, LocalAnswer(CLUSTER, SERVER, CHUNK, refusal="R" * 64)])
def test_answers_come_back(answer: LocalAnswer) -> None:
    packet = encode_answer(answer)
    assert len(packet) <= ANSWER_SIZE_BYTES_MAX
    assert decode_answer(packet) == answer


def test_no_repr_shows_a_token() -> None:
    assert "secret" not in repr(LocalRequest(CLUSTER, SERVER, CHUNK, b"secret"))


REQUEST_PACKET = encode_request(LocalRequest(CLUSTER, SERVER, CHUNK, b"token"))
ANSWER_PACKET = encode_answer(REFUSED)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        REQUEST_PACKET[:1],
        REQUEST_PACKET[:57],
        REQUEST_PACKET[:-1],
        REQUEST_PACKET + b"\0",
        b"X" + REQUEST_PACKET[1:],
        REQUEST_PACKET[:11] + b"\x02" + REQUEST_PACKET[12:],
        encode_request(REQUEST)[:-2] + b"\x10\x01" + bytes(LOCAL_TOKEN_SIZE_BYTES_MAX + 1),
        ANSWER_PACKET,
    ],
)
def test_what_is_no_request_is_refused(packet: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(packet)
    assert caught.value.reason == "LOCAL_MESSAGE_INVALID"


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        ANSWER_PACKET[:73],
        ANSWER_PACKET[:-1],
        ANSWER_PACKET + b"\0",
        ANSWER_PACKET[:-1] + b"\xff",
        b"X" + ANSWER_PACKET[1:],
        ANSWER_PACKET[:11] + b"\x02" + ANSWER_PACKET[12:],
        encode_answer(GIVEN)[:-2] + b"\x00\x41" + b"R" * 65,
        REQUEST_PACKET,
    ],
)
def test_what_is_no_answer_is_refused(packet: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_answer(packet)
    assert caught.value.reason == "LOCAL_MESSAGE_INVALID"
