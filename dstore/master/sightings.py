"""What listings of the disks showed that the rows do not say, as of the last look at each group; in memory alone."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from dstore.core.ids import GroupId, ServerId
from dstore.core.status import Health, HealthCheck


@dataclass(frozen=True, slots=True)
class Whole:
    """A group of which every member listed every chunk of a file, and nothing else was wrong.

    Attributes:
        epoch: of the group, before and after.
        settled_sequence: chunks from this one on were not looked for: writes of them were under way.
    """

    epoch: int
    settled_sequence: int


class Tally:
    """Copies of one kind, counted by group and server."""

    def __init__(self) -> None:
        self._counts: dict[GroupId, dict[ServerId, int]] = {}

    @property
    def total(self) -> int:
        """All of them."""
        return sum(sum(counts.values()) for counts in self._counts.values())

    @property
    def servers(self) -> frozenset[ServerId]:
        """The servers that hold some."""
        return frozenset(server_id for counts in self._counts.values() for server_id in counts)

    def has(self, group_id: GroupId, server_id: ServerId) -> bool:
        """Whether a server holds some of a group."""
        return server_id in self._counts.get(group_id, ())

    def seen(self, group_id: GroupId, counts: Mapping[ServerId, int], absent: Container[ServerId]) -> None:
        """Take note of a look at a group; servers that are absent keep the counts that they had, others have none."""
        kept = {each: count for each, count in self._counts.pop(group_id, {}).items() if each in absent}
        found = kept | {each: count for each, count in counts.items() if count}
        if found:
            self._counts[group_id] = found


class Sightings:
    """What the audit saw.

    Attributes:
        unknown: copies of chunks that no row names.
        differing: copies that are not what was committed.
    """

    def __init__(self) -> None:
        self.unknown = Tally()
        self.differing = Tally()
        #: Servers that are no members, and were seen to hold nothing unknown.
        self._clean: dict[GroupId, frozenset[ServerId]] = {}
        self._whole: dict[GroupId, Whole] = {}
        #: Groups with copies that could be dropped once somebody has looked at them.
        self._wanted: set[GroupId] = set()

    @property
    def is_awaited(self) -> bool:
        """Whether copies wait for a look at them."""
        return bool(self._wanted)

    def take_wanted(self) -> GroupId | None:
        """Return a group that is to be looked at before others, once; whoever still wants it says so again."""
        return self._wanted.pop() if self._wanted else None

    def seen(
        self,
        group_id: GroupId,
        *,
        unknown: Mapping[ServerId, int],
        differing: Mapping[ServerId, int],
        whole: Whole | None,
        members: Container[ServerId],
        absent: Container[ServerId],
    ) -> None:
        """Take note of a look at a group.

        Args:
            unknown: of all servers that listed it, how many of their chunks no row names.
            differing: how many of their copies are not what was committed.
            whole: None when a member lacks something, or could not be asked.
            absent: servers that could not be asked.
        """
        self.unknown.seen(group_id, unknown, absent)
        self.differing.seen(group_id, differing, absent)
        clean = frozenset(each for each, count in unknown.items() if not count and each not in members)
        self._clean.pop(group_id, None)
        if clean:
            self._clean[group_id] = clean
        self._whole.pop(group_id, None)
        if whole is not None:
            self._whole[group_id] = whole

    def may_be_dropped(
        self, server_id: ServerId, group_id: GroupId, *, epoch: int, newest_sequence: int, trusts_rows: bool
    ) -> bool:
        """Whether a copy of a group on a server that is no member is of no use, as it was seen on all the disks.

        Counts do not tell: a member that lost a chunk may hold one that nobody committed.

        Args:
            epoch: of the group now.
            newest_sequence: a look counts at which the writes of all chunks up to this one were over.
            trusts_rows: whether a chunk that no row names is known to be none of a file.
        """
        if self.unknown.has(group_id, server_id):
            return False
        whole = self._whole.get(group_id)
        is_whole = whole is not None and whole.epoch == epoch and whole.settled_sequence > newest_sequence
        if is_whole and (trusts_rows or server_id in self._clean.get(group_id, ())):
            return True
        self._wanted.add(group_id)
        return False

    def checks(self) -> tuple[HealthCheck, ...]:
        """Return the reasons for a health that is not OK."""
        checks = []
        if count := self.differing.total:
            copies = "1 copy is" if count == 1 else f"{count} copies are"
            message = f"{copies} not what was committed, on {_servers(self.differing)}; readers refuse them."
            checks.append(HealthCheck("COPIES_DIFFER", Health.WARN, message, "dstore fsck"))
        if count := self.unknown.total:
            chunks = "1 chunk that no record names is" if count == 1 else f"{count} chunks that no record names are"
            message = f"{chunks} on {_servers(self.unknown)}; nothing touches it."
            checks.append(HealthCheck("UNKNOWN_CHUNKS", Health.WARN, message, "dstore fsck"))
        return tuple(checks)


def _servers(tally: Tally) -> str:
    count = len(tally.servers)
    return "1 chunkserver" if count == 1 else f"{count} chunkservers"
