"""Messages that data is read into: they are those of the wire format, and do not change once they are made."""

import pytest

from dstore.core.chunks import Frame
from dstore.core.limits import MIB
from dstore.rpc import frames
from dstore.rpc.read_messages import ReadMessages
from dstore.v1 import chunk_service_pb2 as v1


def make(messages: ReadMessages, offset: int, data: bytes, crc32c: int = 7) -> Frame:
    message = messages.begin(offset, len(data))
    message.data[:] = data
    return message.finish(crc32c)


@pytest.mark.parametrize("offset", [0, 56, 127, 128, 16_384, 2**32])
@pytest.mark.parametrize("length", [1, 100, 127, 128, 16_384, MIB])
def test_the_message_is_that_of_its_frame(offset: int, length: int) -> None:
    data = bytes(range(256)) * (length // 256 + 1)
    messages = ReadMessages()
    for crc32c in (0, 2**32 - 1):
        frame = make(messages, offset, data[:length], crc32c)
        assert frame == Frame(offset, crc32c, data[:length])
        encoded = frames.encode_read_frame(frame)
        assert encoded is frame.encoded
        answer = v1.ReadChunkResponse.FromString(encoded).frame
        assert (answer.offset, answer.crc32c, answer.data) == (offset, crc32c, data[:length])


def test_messages_that_somebody_has_do_not_change() -> None:
    messages = ReadMessages()
    kept: list[tuple[bytes, Frame]] = []
    for number in range(40):
        data = bytes([number]) * (MIB + number % 3)
        frame = make(messages, 2**30 + number % 2, data)
        if number % 4:
            kept.append((data, frame))
    assert all(frame.data == data for data, frame in kept)


def test_memory_of_dropped_messages_is_used_again() -> None:
    messages = ReadMessages()
    one, other = (make(messages, 2**30, b"x" * MIB) for _ in range(2))
    places = {id(one.encoded), id(other.encoded)}
    del one
    for number in range(10):
        one = make(messages, 2**30, bytes([number]) * MIB)
        assert {id(one.encoded), id(other.encoded)} == places
        del one


def test_a_message_that_is_not_finished_is_forgotten() -> None:
    messages = ReadMessages()
    begun = messages.begin(2**30, MIB)
    frame = make(messages, 2**30, b"x" * MIB)
    begun.data[:] = b"y" * MIB
    assert frame.data == b"x" * MIB


def test_a_frame_that_was_read_into_its_message_is_encoded_anew_for_a_write() -> None:
    frame = make(ReadMessages(), 5, b"abc")
    assert v1.WriteChunkRequest.FromString(frames.encode_write_frame(frame)).frame.data == b"abc"
