"""Files and directories as text: pure functions of what the master says."""

from dstore.cli.quantities import count, format_duration, format_time
from dstore.core.files import FileInfo
from dstore.core.groups import ServerPhase
from dstore.core.removed import RemovedFile
from dstore.core.sizes import format_size
from dstore.core.status import ChunkDescription, FileDescription
from dstore.core.text import printable

#: Chunks that ``dstore stat`` lists; the others are counted, and ``--json`` lists all.
CHUNKS_SHOWN_MAX = 16


def entry_line(info: FileInfo, name: str, *, long: bool) -> str:
    """Return the line of ``dstore ls`` for one entry. Columns have fixed widths, because entries come one by one."""
    if not long:
        return printable(name)
    kind = "d" if info.is_directory else "-"
    size = "-" if info.is_directory else format_size(info.size_bytes)
    chunks = "-" if info.is_directory else count(info.chunk_count, "chunk")
    return f"{kind}  {size:>10}  {chunks:>12}  {format_time(info.modified_ns)}  {printable(name)}"


def removed_line(entry: RemovedFile) -> str:
    """Return the line of ``dstore trash`` for one entry, with columns as those of ``dstore ls -l``."""
    kind = "d" if entry.is_directory else "-"
    size = "-" if entry.is_directory else format_size(entry.size_bytes)
    left = f"{format_duration(entry.expires_in_s)} left" if entry.expires_in_s else "ending now"
    went = f"{entry.reason.value} {format_time(entry.removed_ns)}"
    return f"{kind}  {size:>10}  {left:>12}  {went:<29}  version {entry.version:<8}  {printable(entry.path)}"


def info_lines(info: FileInfo) -> list[str]:
    """Return what is known of a path."""
    lines = [f"  path:      {printable(info.path)}", f"  kind:      {info.kind.value}"]
    if not info.is_directory:
        exact = f" ({info.size_bytes} bytes)" if info.size_bytes >= 1024 else ""
        lines.append(f"  size:      {format_size(info.size_bytes)}{exact}, {count(info.chunk_count, 'chunk')}")
    lines.append(f"  modified:  {format_time(info.modified_ns)}")
    lines.append(f"  created:   {format_time(info.created_ns)}")
    lines.append(f"  version:   {info.version}")
    return lines


def describe_lines(description: FileDescription) -> list[str]:
    """Return what is known of a file, and where its chunks are."""
    lines = info_lines(description.info)
    lines.append(f"  policy:    {description.policy.name}, {description.policy.replicas} replicas")
    lines.append(f"  keys:      {', '.join(key_id.hex() for key_id in description.key_ids) or 'none'}")
    for chunk in description.chunks[:CHUNKS_SHOWN_MAX]:
        lines.append(f"  chunk {chunk.record.index}:   {_chunk_text(chunk)}")
    hidden = len(description.chunks) - CHUNKS_SHOWN_MAX
    if hidden > 0:
        lines.append(f"  and {count(hidden, 'chunk')} more (--json lists all)")
    return lines


def _chunk_text(chunk: ChunkDescription) -> str:
    replicas = []
    for member in chunk.group.members:
        if member.server_id in chunk.missing:
            state = " (missing)"
        elif member.phase is not ServerPhase.UP:
            state = f" ({member.phase.value})"
        else:
            state = ""
        replicas.append(f"{printable(member.name)}{state}")
    return f"{chunk.record.chunk_id}  {format_size(chunk.record.length_bytes)}  on {', '.join(replicas)}"
