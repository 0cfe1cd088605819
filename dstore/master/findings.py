"""How findings about chunks and servers are told: what is wrong, and what helps."""

from collections.abc import Sequence

from dstore.core.checking import Finding, FindingKind, Severity
from dstore.core.ids import ChunkId
from dstore.core.upkeep import GroupSummary
from dstore.master.membership import ServerState
from dstore.master.replica_check import Trouble

_WAIT = "dstore status: it is being copied"

#: By trouble: kind, severity, what is wrong, what helps.
_TEXTS = {
    Trouble.MISSING: (
        FindingKind.REPLICA_MISSING,
        Severity.WARN,
        "{server} lacks its copy, which is known",
        _WAIT,
    ),
    Trouble.LOST: (
        FindingKind.REPLICA_LOST,
        Severity.WARN,
        "{server} should hold a copy and does not list it",
        "dstore fsck --repair: it is copied again",
    ),
    Trouble.DIFFERS: (
        FindingKind.REPLICA_DIFFERS,
        Severity.WARN,
        "the copy of {server} has another length or checksum than was committed",
        "dstore node drain {server}: everything is copied from the others; readers refuse such a copy",
    ),
    Trouble.CORRUPT: (
        FindingKind.REPLICA_CORRUPT,
        Severity.WARN,
        "the copy on the disk of {disk} is damaged and is not served",
        _WAIT,
    ),
    Trouble.GONE: (
        FindingKind.CHUNK_LOST,
        Severity.ERROR,
        "no server that answered has a good copy",
        "restore the file from a backup, or remove it",
    ),
    Trouble.UNKNOWN: (
        FindingKind.UNKNOWN_CHUNK,
        Severity.WARN,
        "{server} holds a chunk that no record names; it stays",
        "if the metadata was restored from an old copy, this was written since; it does no harm",
    ),
    Trouble.ORPHANED: (
        FindingKind.CHUNK_WITHOUT_FILE,
        Severity.ERROR,
        "the record of the chunk belongs to a file that is not there",
        "restore the metadata from a backup",
    ),
}


def about_chunk(
    trouble: Trouble,
    chunk_id: ChunkId,
    path: str,
    server: ServerState | None,
    unasked: Sequence[str],
    *,
    is_repaired: bool,
) -> Finding:
    """Return a finding about a chunk or one copy of it; ``unasked`` are members that did not answer."""
    kind, severity, what, hint = _TEXTS[trouble]
    name = server.record.name if server is not None else ""
    disk = f"{name} ({server.record.labels.host}, {server.record.server_id})" if server is not None else ""
    what, hint = what.format(server=name, disk=disk), hint.format(server=name)
    if trouble is Trouble.GONE and unasked:
        what = f"{what}; {', '.join(unasked)} did not answer"
        hint = " ".join(["start them:", *(f"dstore node start {each}" for each in unasked[:1])])
    return Finding(kind, severity, what, hint, path=path, chunk_id=chunk_id, server=name, is_repaired=is_repaired)


def stray_group(name: str, summary: GroupSummary) -> Finding:
    """Return that a server holds a group without being a member."""
    what = f"{name} holds {_chunks(summary.chunk_count)} of group {summary.group_id} and is no member of it"
    return Finding(
        FindingKind.STRAY_GROUP, Severity.INFO, what, "nothing: it goes when the members have everything", server=name
    )


def unknown_group(name: str, summary: GroupSummary) -> Finding:
    """Return that a server holds a group that the metadata does not know."""
    what = f"{name} holds {_chunks(summary.chunk_count)} of group {summary.group_id}, which no record names; they stay"
    hint = "if the metadata was restored from an old copy, they were written since; they do no harm"
    return Finding(FindingKind.UNKNOWN_GROUP, Severity.WARN, what, hint, server=name)


def deleted_held(name: str, count: int) -> Finding:
    """Return that a server still has deleted chunks."""
    what = f"{name} still holds {_chunks(count)} that are deleted"
    return Finding(FindingKind.DELETED_CHUNK_HELD, Severity.INFO, what, "dstore collection status", server=name)


def not_checked(name: str, why: str, *, is_up: bool) -> Finding:
    """Return that a server could not be looked at."""
    hint = "dstore fsck, again" if is_up else f"dstore node start {name}"
    what = f"what {name} holds could not be checked: {why}"
    return Finding(FindingKind.NOT_CHECKED, Severity.WARN, what, hint, server=name)


def more(kind: FindingKind, count: int) -> Finding:
    """Return that there are more findings of a kind than are listed."""
    return Finding(kind, Severity.INFO, f"{count} more of this kind are not listed", "repair these first")


def _chunks(count: int) -> str:
    return "1 chunk" if count == 1 else f"{count} chunks"
