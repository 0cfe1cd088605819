"""Frames that are made in place are the messages that others are encoded as."""

from hypothesis import given
from hypothesis import strategies as st

from dstore.core.chunks import Frame
from dstore.rpc import frames
from dstore.rpc.write_messages import WriteFrameBuffer

OFFSETS = st.one_of(st.sampled_from([0, 1, 127, 128, 16_383, 16_384, 2**32, 2**63]), st.integers(0, 2**64 - 1))
CHECKSUMS = st.integers(0, 2**32 - 1)
DATA = st.one_of(st.binary(max_size=300), st.sampled_from([127, 128, 16_384]).map(bytes))


@given(st.lists(st.tuples(OFFSETS, CHECKSUMS, DATA), max_size=6), st.booleans())
def test_frames_built_in_place_are_those_that_are_encoded(
    contents: list[tuple[int, int, bytes]], keeps_frames: bool
) -> None:
    """Also when frames are kept while others are built in the same buffer."""
    buffer = WriteFrameBuffer()
    kept = []
    for offset, crc32c, data in contents:
        with buffer.begin(offset, len(data)) as place:
            place[:] = data
        frame = buffer.end(crc32c)
        assert frames.encode_write_frame(frame) == frames.encode_write_frame(Frame(offset, crc32c, data))
        if keeps_frames:
            kept.append((frame, Frame(offset, crc32c, data)))
        del frame
    for frame, expected in kept:
        assert frame == expected
        assert frames.encode_write_frame(frame) == frames.encode_write_frame(expected)
