"""The hand-written wire format is the one that the generated code reads and writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstore.core.chunks import Frame, WriteFinish, WriteHeader
from dstore.core.errors import InvalidRequest
from dstore.rpc import frames
from dstore.v1 import chunk_service_pb2 as v1

OFFSETS = st.one_of(st.sampled_from([0, 1, 127, 128, 16_383, 16_384, 2**32, 2**63]), st.integers(0, 2**64 - 1))
CHECKSUMS = st.integers(0, 2**32 - 1)
DATA = st.one_of(st.binary(max_size=300), st.sampled_from([127, 128, 16_384]).map(bytes))


@given(OFFSETS, CHECKSUMS, DATA)
def test_generated_code_reads_what_is_written_by_hand(offset: int, crc32c: int, data: bytes) -> None:
    frame = Frame(offset, crc32c, data)
    request = v1.WriteChunkRequest.FromString(frames.encode_write_frame(frame))
    response = v1.ReadChunkResponse.FromString(frames.encode_read_frame(frame))
    for message in (request.frame, response.frame):
        assert (message.offset, message.crc32c, message.data) == (offset, crc32c, data)


@given(OFFSETS, CHECKSUMS, DATA)
def test_what_generated_code_writes_is_read_by_hand(offset: int, crc32c: int, data: bytes) -> None:
    message = v1.Frame(offset=offset, crc32c=crc32c, data=data)
    request = v1.WriteChunkRequest(frame=message).SerializeToString()
    response = v1.ReadChunkResponse(frame=message).SerializeToString()
    for frame in (frames.decode_write_message(request), frames.decode_read_message(response)):
        assert isinstance(frame, Frame)
        assert (frame.offset, frame.crc32c, bytes(frame.data)) == (offset, crc32c, data)


def test_a_received_frame_is_passed_on_as_it_came_and_its_data_is_not_copied() -> None:
    raw = frames.encode_write_frame(Frame(7, 9, b"x" * 100))
    frame = frames.decode_write_message(raw)
    assert isinstance(frame, Frame)
    assert frames.encode_write_frame(frame) is raw
    assert isinstance(frame.data, memoryview)
    assert frame.data.obj is raw


def test_a_frame_that_was_read_is_encoded_anew_for_a_write() -> None:
    frame = frames.decode_read_message(frames.encode_read_frame(Frame(7, 9, b"abc")))
    assert v1.WriteChunkRequest.FromString(frames.encode_write_frame(frame)).frame.data == b"abc"


def test_unusual_layouts_of_the_same_message_are_understood() -> None:
    # data before offset, then an unknown field (number 15, varint): both are legal protobuf.
    inner = b"\x1a\x03abc" + b"\x08\x05" + b"\x15" + (77).to_bytes(4, "little") + b"\x78\x01"
    frame = frames.decode_write_message(b"\x12" + bytes((len(inner),)) + inner)
    assert isinstance(frame, Frame)
    assert (frame.offset, frame.crc32c, bytes(frame.data)) == (5, 77, b"abc")


def test_header_and_finish_come_as_values() -> None:
    server_id = "11111111-2222-3333-4444-555555555555"
    header = v1.WriteChunkRequest.Header(cluster_id=server_id, group_epoch=3, length_bytes=9, descriptor=b"d")
    header.chunk_id.group_id, header.chunk_id.sequence = 2, 5
    header.chain.add(server_id=server_id, address="127.0.0.1:1")
    decoded = frames.decode_write_message(v1.WriteChunkRequest(header=header).SerializeToString())
    assert isinstance(decoded, WriteHeader)
    assert (str(decoded.chunk_id), decoded.group_epoch, decoded.length_bytes) == ("00000002-0000000000000005", 3, 9)
    assert [member.address for member in decoded.chain] == ["127.0.0.1:1"]
    finish = v1.WriteChunkRequest(finish=v1.WriteChunkRequest.Finish(length_bytes=4, crc32c=6)).SerializeToString()
    assert frames.decode_write_message(finish) == WriteFinish(4, 6)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x12", b"\x12\x05\x08", b"\xff\xff\xff", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"text"],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        frames.decode_write_message(raw)
    assert caught.value.reason == "STREAM_INVALID"


@given(st.binary(max_size=64))
def test_random_bytes_never_do_anything_else(raw: bytes) -> None:
    for decode in (frames.decode_write_message, frames.decode_read_message):
        try:
            assert isinstance(decode(raw), Frame | WriteHeader | WriteFinish)
        except InvalidRequest as error:
            assert error.reason in {"STREAM_INVALID", "CHUNK_ID_INVALID", "UUID_INVALID", "HEADER_INVALID"}
