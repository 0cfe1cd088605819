"""Frames as bytes: the protobuf wire format of the two data messages, read and written by hand.

Parsing a protobuf ``bytes`` field costs two extra copies of every byte in Python. Here a frame's data is a view into
the received message, and a relay passes the message on as it came. Everybody else sees ordinary protobuf messages
(tests exchange them with the generated code): whatever is not laid out as this module writes it goes through the
generated parser.

A frame as it is written, numbers in hex:

    12 LL      WriteChunkRequest.frame, length   (0a LL: ReadChunkResponse.frame)
      08 VV      Frame.offset, varint
      15 CCCC    Frame.crc32c, fixed32, little-endian
      1a LL      Frame.data, length, then the data up to the end of the message
"""

from google.protobuf.message import DecodeError

from dstore.core.chunks import Frame, WriteFinish, WriteHeader
from dstore.core.errors import InvalidRequest
from dstore.rpc.convert.chunks import finish_from_proto, header_from_proto
from dstore.v1 import chunk_service_pb2 as chunk_v1

_WRITE_FRAME_TAG = 0x12
_READ_FRAME_TAG = 0x0A
_OFFSET_TAG = 0x08
_CRC32C_TAG = 0x15
_DATA_TAG = 0x1A
_VARINT_SIZE_BYTES_MAX = 10


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _decode_varint(raw: bytes, position: int) -> tuple[int, int]:
    """Return a varint and the position after it.

    Raises:
        IndexError: when the message ends in it.
        ValueError: when it is too long.
    """
    value = 0
    for shift in range(0, 7 * _VARINT_SIZE_BYTES_MAX, 7):
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("varint too long")


def _frame_prefix(tag: int, offset: int, crc32c: int, length_bytes: int) -> bytes:
    inner = b"\x08%b\x15%b\x1a%b" % (
        _encode_varint(offset),
        crc32c.to_bytes(4, "little"),
        _encode_varint(length_bytes),
    )
    return b"%c%b%b" % (tag, _encode_varint(len(inner) + length_bytes), inner)


def read_frame_prefix(offset: int, crc32c: int, length_bytes: int) -> bytes:
    """Return what precedes the data in a ReadChunkResponse; its size does not depend on the checksum."""
    return _frame_prefix(_READ_FRAME_TAG, offset, crc32c, length_bytes)


def write_frame_prefix(offset: int, crc32c: int, length_bytes: int) -> bytes:
    """Return what precedes the data in a WriteChunkRequest; its size does not depend on the checksum."""
    return _frame_prefix(_WRITE_FRAME_TAG, offset, crc32c, length_bytes)


def _encode_frame(tag: int, frame: Frame) -> bytes:
    return b"".join((_frame_prefix(tag, frame.offset, frame.crc32c, len(frame.data)), frame.data))


def _decode_frame(tag: int, raw: bytes) -> Frame | None:
    """Return the frame of a message laid out as above, None for any other layout."""
    try:
        if raw[0] != tag:
            return None
        size_bytes, position = _decode_varint(raw, 1)
        if position + size_bytes != len(raw) or raw[position] != _OFFSET_TAG:
            return None
        offset, position = _decode_varint(raw, position + 1)
        if raw[position] != _CRC32C_TAG or raw[position + 5] != _DATA_TAG:
            return None
        crc32c = int.from_bytes(raw[position + 1 : position + 5], "little")
        size_bytes, position = _decode_varint(raw, position + 6)
    except (IndexError, ValueError):
        return None
    if position + size_bytes != len(raw):
        return None
    # A message that came from a read cannot be passed on by a write stream.
    encoded = raw if tag == _WRITE_FRAME_TAG else None
    return Frame(offset, crc32c, memoryview(raw)[position:], encoded)


def encode_write_frame(frame: Frame) -> bytes:
    """Return the WriteChunkRequest that holds ``frame``; the one it came in, if there is one."""
    if frame.encoded is not None and frame.encoded[0] != _READ_FRAME_TAG:
        return frame.encoded
    return _encode_frame(_WRITE_FRAME_TAG, frame)


def encode_read_frame(frame: Frame) -> bytes:
    """Return the ReadChunkResponse, or ReadRangeResponse, which looks the same, that holds ``frame``.

    The one that it was read into, if there is one.
    """
    if frame.encoded is not None and frame.encoded[0] == _READ_FRAME_TAG:
        return frame.encoded
    return _encode_frame(_READ_FRAME_TAG, frame)


def decode_write_message(raw: bytes) -> WriteHeader | Frame | WriteFinish:
    """Return the content of a WriteChunkRequest.

    Raises:
        InvalidRequest: STREAM_INVALID when it is no such message, or empty.
    """
    frame = _decode_frame(_WRITE_FRAME_TAG, raw)
    if frame is not None:
        return frame
    message = chunk_v1.WriteChunkRequest()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise _invalid("a message that is no WriteChunkRequest") from None
    match message.WhichOneof("payload"):
        case "header":
            return header_from_proto(message.header)
        case "frame":
            return Frame(message.frame.offset, message.frame.crc32c, message.frame.data, encoded=raw)
        case "finish":
            return finish_from_proto(message.finish)
        case _:
            raise _invalid("a message without header, frame and finish")


def decode_read_message(raw: bytes) -> Frame:
    """Return the frame of a ReadChunkResponse or ReadRangeResponse.

    Raises:
        InvalidRequest: STREAM_INVALID when it is no such message.
    """
    frame = _decode_frame(_READ_FRAME_TAG, raw)
    if frame is not None:
        return frame
    message = chunk_v1.ReadChunkResponse()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise _invalid("an answer that holds no frame") from None
    return Frame(message.frame.offset, message.frame.crc32c, message.frame.data)


def _invalid(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"The chunk stream contains {what}; see protos/dstore/v1/chunk_service.proto.",
        reason="STREAM_INVALID",
    )
