"""An open chunk file, and the checks that come before any of its bytes."""

from dstore.chunkserver.chunkfile import (
    ChunkFooter,
    ChunkHeader,
    check_blocks,
    decode_footer,
    decode_header,
    footer_size_bytes,
)
from dstore.core.chunks import ChunkStat, Frame
from dstore.core.digests import HeldChunk
from dstore.core.environment import Disk, DiskFile
from dstore.core.errors import Corrupt
from dstore.core.ids import ChunkId, ClusterId
from dstore.core.limits import CHECKSUM_BLOCK_SIZE_BYTES, CHUNK_FILE_HEADER_SIZE_BYTES
from dstore.rpc.read_messages import ReadMessages


class OpenChunk:
    """An open chunk file whose header and footer were checked.

    Attributes:
        users: readers that have it now.
        is_retired: it is closed when its last user leaves.
        is_gone: the chunk was removed, replaced or found corrupt; not one more byte of it may leave.
    """

    __slots__ = ("file", "footer", "header", "is_gone", "is_retired", "users")

    def __init__(self, file: DiskFile, header: ChunkHeader, footer: ChunkFooter) -> None:
        self.file = file
        self.header = header
        self.footer = footer
        self.users = 0
        self.is_retired = False
        self.is_gone = False

    @property
    def stat(self) -> ChunkStat:
        """What header and footer say."""
        header = self.header
        return ChunkStat(header.chunk_id, header.length_bytes, self.footer.crc32c, header.descriptor)

    @property
    def held(self) -> HeldChunk:
        """The chunk as it counts in digests."""
        return HeldChunk(self.header.chunk_id.sequence, self.header.length_bytes, self.footer.crc32c)

    async def read(self, offset: int, length_bytes: int, messages: ReadMessages | None = None) -> Frame:
        """Return a range that lies within the chunk, in a message, after checking the blocks that cover it.

        Args:
            messages: makes the message; frames that follow each other take turns in the same memory.

        Raises:
            Corrupt: a block does not match its checksum, or is not there.
        """
        block, skipped = divmod(offset, CHECKSUM_BLOCK_SIZE_BYTES)
        end = offset + length_bytes
        surplus = min(-end % CHECKSUM_BLOCK_SIZE_BYTES, self.header.length_bytes - end)
        message = (messages or ReadMessages()).begin(offset, length_bytes)
        # What the first block and the last one have beside the range.
        before, after = bytearray(skipped), bytearray(surplus)
        start = CHUNK_FILE_HEADER_SIZE_BYTES + offset - skipped
        size = await self.file.read_into(start, (before, message.data, after))
        if size != skipped + length_bytes + surplus:
            raise Corrupt(
                "The chunk file is shorter than its header says.",
                metadata={"problem": "the file is shorter than its header says"},
            )
        return message.finish(check_blocks(self.footer, block, message.data, before=before, after=after))


async def open_checked(disk: Disk, path: str, chunk_id: ChunkId, cluster_id: ClusterId | None) -> OpenChunk:
    """Open a chunk file and check its header and footer, and that it is the chunk that its name says.

    Raises:
        FileNotFoundError: it is not there.
        Corrupt: a check failed; ``metadata["problem"]`` says which.
        OSError: the disk failed.
    """
    file = await disk.open(path)
    try:
        page = bytes(await file.read_at(0, CHUNK_FILE_HEADER_SIZE_BYTES))
        header = decode_header(page)
        if header.chunk_id != chunk_id or header.cluster_id != cluster_id:
            problem = f"the file is that of chunk {header.chunk_id} of cluster {header.cluster_id}"
            raise Corrupt("The chunk file is misplaced.", metadata={"problem": problem})
        # One byte more, to notice a file that is too long.
        size = footer_size_bytes(header.length_bytes) + 1
        raw = bytes(await file.read_at(CHUNK_FILE_HEADER_SIZE_BYTES + header.length_bytes, size))
        return OpenChunk(file, header, decode_footer(page, header, raw))
    except BaseException:
        await file.close()
        raise
