"""The newest epoch of each group that this disk saw; it only goes up, also across restarts (Invariant 7)."""

import asyncio
import logging

from dstore.chunkserver import paths
from dstore.chunkserver.durable import TemporaryNames, read_record, write_record
from dstore.core.environment import Disk
from dstore.core.errors import Corrupt, NotReady, Unavailable
from dstore.core.ids import GroupId

FORMAT_VERSION = 1
EPOCH_MAX = 2**63 - 1

_log = logging.getLogger(__name__)


class GroupEpochs:
    """Remembers, compares and persists epochs. A group that was never seen has epoch 0."""

    def __init__(self, disk: Disk, names: TemporaryNames) -> None:
        self._disk = disk
        self._names = names
        self._epochs: dict[GroupId, int] = {}
        self._damaged: set[GroupId] = set()
        self._saving = asyncio.Lock()

    async def load(self, group_id: GroupId) -> None:
        """Read what is on disk. A damaged file closes the group to writes until the master names its epoch."""
        try:
            fields = await read_record(self._disk, paths.epoch_path(group_id))
            if fields is None:
                return
            epoch = fields.get("epoch")
            known = fields.get("format") == FORMAT_VERSION and fields.get("group_id") == group_id
            if not known or not isinstance(epoch, int):
                raise Corrupt("It is of another group or format.", reason="RECORD_CORRUPT")
        except Corrupt as error:
            _log.error("the epoch of group %s cannot be read; it takes no writes: %s", group_id, error)
            self._damaged.add(group_id)
            return
        self._epochs[group_id] = epoch

    def get(self, group_id: GroupId) -> int:
        """Return the newest epoch that was seen."""
        return self._epochs.get(group_id, 0)

    def check(self, group_id: GroupId, epoch: int) -> None:
        """Refuse an older epoch.

        Raises:
            NotReady: reason ``STALE_GROUP_EPOCH``.
            Unavailable: reason ``DISK_FAILED``, when it is not known because its file is damaged.
        """
        if group_id in self._damaged:
            raise Unavailable(
                f"The epoch file of group {group_id} is damaged on this server, so it takes no writes until the "
                "master has named the epoch. Use another group.",
                reason="DISK_FAILED",
            )
        known = self.get(group_id)
        if epoch < known:
            raise NotReady(
                f"Group {group_id} is at epoch {known}, the request has {epoch}. Refresh the cluster map.",
                reason="STALE_GROUP_EPOCH",
                metadata={"group_id": str(group_id), "epoch": str(known), "request_epoch": str(epoch)},
            )

    async def adopt(self, group_id: GroupId, epoch: int, *, from_master: bool = False) -> None:
        """Remember an epoch if it is newer, durably. Only the master can replace a damaged one.

        Raises:
            OSError: nothing was adopted.
        """
        async with self._saving:
            damaged = group_id in self._damaged
            if epoch <= self.get(group_id) and not (damaged and from_master):
                return
            await self._disk.make_directory(paths.group_directory(group_id))
            await write_record(
                self._disk,
                paths.epoch_path(group_id),
                {"format": FORMAT_VERSION, "group_id": group_id, "epoch": epoch},
                temporary=self._names.new(f"{paths.EPOCH}-{group_id:08x}"),
            )
            # Invariant 7: obeyed only once it cannot be forgotten.
            self._epochs[group_id] = epoch
            self._damaged.discard(group_id)
